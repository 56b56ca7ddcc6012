// Contract: moePermute is the stable counting sort of its reference, exactly, and refuses experts that do not exist.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { moePermute } from "../../lib/ops/moePermute.js";
import { moePermute as reference } from "../reference/moePermute.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";

interface MoePermuteCase extends OpCase {
  readonly T: number;
  readonly K: number;
  readonly E: number;
  /** Experts that tokens go to; the others stay empty. Default: all. */
  readonly used?: readonly [first: number, end: number];
}

const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly MoePermuteCase[] = [
  { name: "smallest", T: 1, K: 1, E: 1 },
  { name: "no tokens", T: 0, K: 2, E: 4 },
  ...tails.map((T) => ({ name: `${T} tokens`, T, K: 2, E: 5 })),
  { name: "more experts than pairs", T: 3, K: 2, E: 128 },
  { name: "all to the first expert", T: 40, K: 1, E: 8, used: [0, 1] },
  { name: "all to the last expert", T: 40, K: 1, E: 8, used: [7, 8] },
  { name: "empty experts on both sides", T: 40, K: 3, E: 16, used: [5, 11] },
  { name: "as many pairs as are counted one by one", T: 256, K: 2, E: 5 },
  { name: "one pair more", T: 171, K: 3, E: 7 },
  { name: "more experts than shared memory holds", T: 700, K: 2, E: 1500 },
  { name: "as many experts as shared memory holds", T: 1300, K: 2, E: 1024 },
  { name: "one expert more", T: 1300, K: 2, E: 1025 },
  { name: "many tokens", T: 5000, K: 8, E: 256 },
  { name: "more runs than a warp scans at once", T: 66000, K: 1, E: 3 },
];

describeOp("moePermute", cases, async (context, c) => {
  const { T, K, E, used = [0, E] } = c;
  const random = new Random(22);
  const experts = Int32Array.from({ length: T * K }, () => random.integer(...used));
  const result = moePermute(context.stream, context.integers([T, K], experts), E);
  const expected = reference(experts, { E });
  for (const [label, shape] of [
    ["order", [T * K]],
    ["inverse", [T, K]],
    ["offsets", [E + 1]],
  ] as const) {
    expect(result[label].shape).toEqual(shape);
    expectSame(await context.readIntegers(result[label]), expected[label], { shape, label });
  }
});

describe("moePermute: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const experts = device.empty("i32", [3, 2]);
    expect(() => moePermute(stream, device.empty("f32", [3, 2]), 4)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: "moePermute: experts: expected dtype i32, got f32",
      }),
    );
    expect(() => moePermute(stream, device.empty("i32", [6]), 4)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringMatching(/experts: expected \[T, K\]/),
      }),
    );
    expect(() => moePermute(stream, experts, 0)).toThrow(
      /numExperts: expected a whole number from 1 to 2147483647, got/,
    );
    expect(() => moePermute(stream, experts.slice(1, 0, 1), 4)).toThrow(/experts: must be contiguous/);
  });

  test.each([-1, 4, 2147483647, -2147483648])("expert %i of 4 poisons the stream", async (expert) => {
    const stream = device.createStream();
    moePermute(stream, stream.fromArray("i32", [3, 2], Int32Array.of(0, 1, 2, expert, 3, 0)), 4);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(`experts[1, 1] = ${expert} is outside [0, E=4)`);
  });
});
