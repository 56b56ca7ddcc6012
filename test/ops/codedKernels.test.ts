/**
 * Contract: whatever kernel WARPLOOP_KERNEL names, a product with a weight of codes is right or says why that kernel cannot run it;
 * and where the scratch memory holds only some of the weight as numbers, it is multiplied part by part. On the emulated GPU.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { native } from "../../lib/device/native.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { headLinear } from "../../lib/ops/headLinear.js";
import { linear } from "../../lib/ops/linear.js";
import { groupedLinear as groupedReference } from "../reference/groupedLinear.js";
import { headLinear as headReference } from "../reference/headLinear.js";
import { linear as reference } from "../reference/linear.js";
import { expectClose } from "../support/compare.js";
import { OpContext, openTestDevice, withEnvironment } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { codeKinds, randomCodeGroup, randomCodes, roundedOn } from "../support/quantizedWeights.js";
import { Random } from "../support/random.js";

let device: Device;
beforeAll(() => {
  device = openTestDevice();
});
afterAll(() => device.dispose());

interface Call {
  readonly kind: string;
  readonly T: number;
  readonly K: number;
  readonly x: FloatDType;
}
type Run = (context: OpContext, call: Call) => Promise<void>;

const N = 72;
const kindOf = (name: string) => codeKinds.find((kind) => kind.name === name)!;
const tolerance = (context: OpContext, { K, x }: Call, shape: readonly number[]) => ({
  ...{ dtype: x, shape, reduction: Math.max(K, 1) },
  ...roundedOn(context, x),
});

const ops: Readonly<Record<"linear" | "groupedLinear" | "headLinear", Run>> = {
  async linear(context, call) {
    const { kind, T, K, x: dtype } = call;
    const { weight, values } = randomCodes(context, [{ ...kindOf(kind), N, K }]);
    const [x, residual] = [new Random(1).normal(T * K, { dtype }), new Random(2).normal(T * N, { dtype })];
    const added = { residual: context.tensor(dtype, [T, N], residual) };
    const result = linear(context.stream, context.tensor(dtype, [T, K], x), weight, added);
    const expected = reference(x, values, { T, N, K }, { residual });
    expectClose(await context.read(result), expected, tolerance(context, call, [T, N]));
    weight.dispose();
  },
  async groupedLinear(context, call) {
    const { kind, T, K, x: dtype } = call;
    const { weight, values } = randomCodeGroup(context, { ...kindOf(kind), E: 3, N, K });
    const offsets = Int32Array.of(0, Math.floor(T / 3), Math.floor(T / 3), T);
    const x = new Random(3).normal(T * K, { dtype });
    const rows = context.tensor(dtype, [T, K], x);
    const result = groupedLinear(context.stream, rows, weight, context.integers([4], offsets));
    const expected = groupedReference(x, values, offsets, { N, K }, {});
    expectClose(await context.read(result), expected, tolerance(context, call, [T, N]));
    weight.dispose();
  },
  async headLinear(context, call) {
    const { kind, T, K, x: dtype } = call;
    const { weight, values } = randomCodeGroup(context, { ...kindOf(kind), E: 3, N, K });
    const x = new Random(4).normal(T * 3 * K, { dtype });
    const result = headLinear(context.stream, context.tensor(dtype, [T, 3, K], x), weight);
    const expected = headReference(x, values, { H: 3, N, K });
    expectClose(await context.read(result), expected, tolerance(context, call, [T, 3, N]));
    weight.dispose();
  },
};

const calls: readonly Call[] = [
  { kind: "int4 in groups of 128", T: 3, K: 256, x: "bf16" },
  { kind: "q4_k", T: 20, K: 512, x: "f16" },
  { kind: "q6_k", T: 9, K: 256, x: "bf16" },
  { kind: "fp8 in blocks", T: 70, K: 200, x: "bf16" },
  { kind: "mxfp4", T: 5, K: 96, x: "f32" },
  { kind: "int8 in groups, zeros", T: 5, K: 77, x: "f16" }, // rows that are not aligned
];

/** What came of a call with one kernel alone: nothing if it was right, else what it says. */
async function outcome(run: Run, call: Call, wish: string): Promise<string> {
  const stream = withEnvironment({ WARPLOOP_KERNEL: wish }, () => device.createStream());
  try {
    await run(new OpContext("simt", device, stream), call);
    return "";
  } catch (error) {
    return String(error);
  } finally {
    await stream.dispose();
  }
}

describe.skipIf(native.setScratch === undefined)("kernels of weights of codes", () => {
  afterEach(() => native.setScratch!());

  test.each([
    ["linear", ["c8x64", "c16x64", "unpacked"], ["h128x256", "64x64", "8x16", "unaligned", "f32"]],
    ["groupedLinear", ["c8x64", "c16x64", "unpacked"], ["h64x128", "64x128", "unaligned", "f32"]],
    ["headLinear", ["unpacked"], ["shared", "heads"]],
  ] as const)(
    "%s: each name runs what it can and refuses the rest with a reason",
    async (op, own, others) => {
      for (const call of calls) {
        const outcomes = new Map<string, string>();
        for (const name of [...own, ...others])
          outcomes.set(name, await outcome(ops[op], call, `${op}:${name}`));
        expect(outcomes.get("unpacked")).toBe("");
        const streamed = call.x !== "f32" && call.K % 8 === 0;
        for (const name of own.filter((each) => each !== "unpacked"))
          expect(outcomes.get(name)).toMatch(streamed ? /^$/ : /cannot run this: (x is f32|rows of x)/);
        for (const name of others) expect(outcomes.get(name)).toMatch(/cannot run this/);
      }
    },
  );

  test.each(["linear", "groupedLinear", "headLinear"] as const)("%s: strips of a weight", async (op) => {
    for (const call of calls) {
      native.setScratch!(1 << 18, 65_536); // 256 KiB: 32 rows of linear, an expert, a head
      expect(await outcome(ops[op], call, `${op}:unpacked`)).toBe("");
    }
    native.setScratch!(1 << 12, 65_536);
    expect(await outcome(ops[op], calls[0]!, `${op}:unpacked`)).toMatch(
      /does not fit into the workspace as numbers/,
    );
  });
});
