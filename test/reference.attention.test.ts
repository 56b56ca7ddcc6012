// Contract: the float64 references of attention and its cache mean what their papers say. Each is checked where a closed form,
// an identity or a known value exists, never against another implementation of the same loop.
import { describe, expect, test } from "vitest";
import { flashAttention } from "./reference/flashAttention.js";
import { kvStore } from "./reference/kvStore.js";
import { pagedAttention } from "./reference/pagedAttention.js";
import { f64, i32 } from "./support/arrays.js";
import { expectNear } from "./support/compare.js";
import { Random } from "./support/random.js";

const random = new Random(7);

describe("attention", () => {
  const heads = { Hq: 4, Hkv: 2, Dh: 8, Dv: 6 };
  const L = 11;
  const q = random.normal(L * 4 * 8);
  const k = random.normal(L * 2 * 8);
  const v = random.normal(L * 2 * 6);

  test("one key returns its value, to each query head that of its KV head; lse is the score", () => {
    const { out, lse } = flashAttention(q.subarray(0, 32), k.subarray(0, 16), v.subarray(0, 12), heads, {
      scale: 2,
    });
    expectNear(
      out,
      [0, 0, 1, 1].flatMap((head) => [...v.subarray(head * 6, head * 6 + 6)]),
    );
    const score = 2 * q.subarray(8, 16).reduce((sum, value, d) => sum + value * k[d]!, 0);
    expect(lse[1]).toBeCloseTo(score, 12);
  });

  test("probabilities sum to one: constant values come back; equal keys average the values", () => {
    expectNear(
      flashAttention(q, k, new Float64Array(L * 12).fill(3), heads).out,
      new Float64Array(L * 24).fill(3),
    );
    const { out, lse } = flashAttention(q, new Float64Array(L * 16), v, heads, { causal: false });
    const mean = Array.from({ length: 6 }, (_, d) => {
      let sum = 0;
      for (let j = 0; j < L; j++) sum += v[j * 12 + d]!;
      return sum / L;
    });
    expectNear(out.subarray(0, 6), mean);
    expect(lse[0]).toBeCloseTo(Math.log(L), 12);
  });

  test("causal is bottom-right aligned: the last queries alone see what they see in the whole", () => {
    const whole = flashAttention(q, k, v, heads);
    const tail = flashAttention(q.subarray(8 * 32), k, v, heads);
    expectNear(tail.out, whole.out.subarray(8 * 24));
    expectNear(tail.lse, whole.lse.subarray(8 * 4));
  });

  test("more queries than keys, an empty sequence, and no keys: rows that see nothing are 0 and -infinity", () => {
    const { out, lse } = flashAttention(q.subarray(0, 3 * 32), k.subarray(0, 16), v.subarray(0, 12), heads, {
      cuSeqlensQ: i32(0, 0, 2, 3),
      cuSeqlensK: i32(0, 0, 1, 1),
    });
    expect(out.subarray(0, 24)).toEqual(new Float64Array(24)); // query 0 of 2 over 1 key
    expectNear(out.subarray(24, 30), v.subarray(0, 6)); // query 1 of 2
    expect(out.subarray(48, 72)).toEqual(new Float64Array(24)); // one query, no key
    expect([lse[0], lse[8]]).toEqual([-Infinity, -Infinity]);
  });

  test("a window as long as the text changes nothing; a window of 1 returns the own value", () => {
    expectNear(flashAttention(q, k, v, heads, { window: L }).out, flashAttention(q, k, v, heads).out);
    const own = flashAttention(q, k, v, heads, { window: 1 }).out;
    expectNear(own.subarray(5 * 24, 5 * 24 + 6), v.subarray(5 * 12, 5 * 12 + 6));
  });

  test.each([{ Ps: 1 }, { Ps: 3 }, { Ps: 16 }])(
    "paged equals contiguous through kvStore, page size $Ps",
    ({ Ps }) => {
      const P = 20;
      const Pmax = Math.ceil(L / Ps);
      const pages = random.permutation(P).subarray(0, Pmax);
      const slots = Int32Array.from({ length: L }, (_, j) => pages[Math.floor(j / Ps)]! * Ps + (j % Ps));
      const poison = (Dh: number) => new Float64Array(P * Ps * 2 * Dh).fill(NaN);
      const kPages = kvStore(k, poison(8), slots, { P, Ps, Hkv: 2, Dh: 8 });
      const vPages = kvStore(v, poison(6), slots, { P, Ps, Hkv: 2, Dh: 6 });
      const pageTable = Int32Array.of(...new Int32Array(Pmax), ...pages); // row 1 of 2
      for (const window of [0, 4]) {
        const paged = pagedAttention(
          q.subarray(7 * 32),
          kPages,
          vPages,
          pageTable,
          i32(1),
          i32(0, 4),
          i32(L),
          { ...heads, Ps, Pmax },
          { window },
        );
        const whole = flashAttention(q, k, v, heads, { window });
        expectNear(paged.out, whole.out.subarray(7 * 24));
        expectNear(paged.lse, whole.lse.subarray(7 * 4));
      }
    },
  );

  test("kvStore skips slot -1 and refuses others outside the pages", () => {
    const shape = { P: 2, Ps: 1, Hkv: 1, Dh: 2 };
    expect(kvStore(f64(1, 2, 3, 4), new Float64Array(4), i32(-1, 1), shape)).toEqual(f64(0, 0, 3, 4));
    expect(() => kvStore(f64(1, 2), new Float64Array(4), i32(2), shape)).toThrow(RangeError);
    expect(() => kvStore(f64(1, 2), new Float64Array(4), i32(-2), shape)).toThrow(RangeError);
  });
});
