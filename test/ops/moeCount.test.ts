// Contract: moeCount adds to the counts of its reference, exactly, also beyond 32 bits, leaves padding out, and refuses
// experts that do not exist.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { wideCounts } from "../../lib/engine/expertCounts.js";
import { moeCount } from "../../lib/ops/moeCount.js";
import { moeCount as reference } from "../reference/moeCount.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";

interface MoeCountCase extends OpCase {
  readonly T: number;
  readonly K: number;
  readonly E: number;
  /** One in so many tokens is padding; 0: there are no slots. */
  readonly padding?: number;
  /** What is in the counts before. */
  readonly before?: number;
  readonly calls?: number;
}

const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly MoeCountCase[] = [
  { name: "smallest", T: 1, K: 1, E: 1 },
  { name: "no tokens", T: 0, K: 2, E: 4 },
  ...tails.map((T) => ({ name: `${T} tokens`, T, K: 2, E: 5 })),
  ...tails.map((E) => ({ name: `${E} experts`, T: 9, K: 1, E })),
  { name: "more experts than pairs", T: 3, K: 2, E: 128 },
  { name: "some padding", T: 40, K: 3, E: 16, padding: 3 },
  { name: "nothing but padding", T: 8, K: 2, E: 4, padding: 1 },
  { name: "several calls", T: 17, K: 2, E: 6, padding: 5, calls: 3 },
  { name: "beyond 31 bits", T: 20, K: 2, E: 3, before: 2 ** 31 - 3 },
  { name: "beyond 32 bits", T: 20, K: 2, E: 3, before: 2 ** 32 - 3, calls: 2 },
  { name: "far beyond 32 bits", T: 20, K: 2, E: 3, before: 2 ** 40 + 2 ** 32 - 1 },
  { name: "many tokens", T: 5000, K: 8, E: 256, padding: 7 },
];

describeOp("moeCount", cases, async (context, c) => {
  const { T, K, E, padding = 0, before = 0, calls = 1 } = c;
  const random = new Random(23);
  const slots =
    padding > 0 ? Int32Array.from({ length: T }, (_, t) => (t % padding === 0 ? -1 : t)) : undefined;
  const halves = Int32Array.from({ length: 2 * E }, (_, i) =>
    i % 2 === 0 ? before : Math.floor(before / 2 ** 32),
  );
  const counts = context.integers([E, 2], halves);
  let expected = new Array<number>(E).fill(before);
  for (let call = 0; call < calls; call++) {
    const experts = Int32Array.from({ length: T * K }, () => random.integer(0, E));
    const options = slots && { slots: context.integers([T], slots) };
    moeCount(context.stream, context.integers([T, K], experts), counts, options);
    expected = reference(experts, expected, { K, slots });
  }
  expect(wideCounts(await context.readIntegers(counts))).toEqual(expected);
});

describe("moeCount: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const i32 = (...shape: number[]) => device.empty("i32", shape);
    const call = (...given: Parameters<typeof moeCount> extends [unknown, ...infer Rest] ? Rest : never) =>
      expect(() => moeCount(stream, ...given));
    call(device.empty("f32", [3, 2]), i32(4, 2)).toThrow("moeCount: experts: expected dtype i32, got f32");
    call(i32(6), i32(4, 2)).toThrow(/^moeCount: experts: expected \[T, K\]/);
    call(i32(3, 2), i32(4)).toThrow(/^moeCount: counts: expected \[E, 2\]/);
    call(i32(3, 2), i32(0, 2)).toThrow(/^moeCount: counts: expected at least one expert/);
    call(i32(3, 2), i32(4, 2), { slots: i32(2) }).toThrow(/^moeCount: slots: expected \[T=3\]/);
  });

  test.each([-1, 4, 2147483647, -2147483648])("expert %i of 4 poisons the stream", async (expert) => {
    const stream = device.createStream();
    const experts = stream.fromArray("i32", [3, 2], Int32Array.of(0, 1, 2, expert, 3, 0));
    moeCount(stream, experts, stream.fromArray("i32", [4, 2], new Int32Array(8)));
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(`experts[1, 1] = ${expert} is outside [0, E=4)`);
  });
});
