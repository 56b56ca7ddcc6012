/** Contract: groupedLinear and headLinear multiply with stacks of codes as with the numbers that they mean. */
import { expect } from "vitest";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { headLinear } from "../../lib/ops/headLinear.js";
import type { LinearWeight, QuantizedFormat, WeightSegment } from "../../lib/ops/linearWeight.js";
import { groupedLinear as reference } from "../reference/groupedLinear.js";
import { blockOf, int8Rows } from "../reference/int8Rows.js";
import { headLinear as headReference } from "../reference/headLinear.js";
import { expectClose } from "../support/compare.js";
import { describeOp, type OpCase } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { bytesOnCpu, codeKinds, randomCodeGroup, roundedOn } from "../support/quantizedWeights.js";
import { Random } from "../support/random.js";

interface GroupCase extends OpCase {
  readonly kind: string;
  readonly K: number;
  readonly N: number;
  readonly offsets: readonly number[];
  readonly x: FloatDType;
  /** Rows of x are gathered, topK of the result for each. */
  readonly topK?: number;
  readonly swiglu?: boolean;
  readonly bias?: boolean;
  readonly clamp?: { readonly limit: number; readonly alpha: number };
  /** What x becomes first. Default "float". */
  readonly activation?: QuantizedFormat["activation"];
}

const kindOf = (name: string) => codeKinds.find((kind) => kind.name === name)!;
const dtypes = ["f32", "bf16", "f16"] as const;

const groupCases: readonly GroupCase[] = [
  ...codeKinds.map(({ name, step }, i) => ({
    ...{ name: "every kind", kind: name, K: Math.max(step, 64), N: 40, offsets: [0, 3, 3, 10] },
    x: dtypes[i % 3]!,
  })),
  {
    ...{
      name: "gathered rows",
      kind: "q4_0",
      K: 64,
      N: 40,
      offsets: [0, 2, 9, 12],
      x: "bf16",
      topK: 2,
    },
    bias: true,
  },
  {
    ...{ name: "gate and up", kind: "mxfp4", K: 96, N: 84, offsets: [0, 5, 6, 20], x: "bf16" },
    ...{ swiglu: true, bias: true, clamp: { limit: 7, alpha: 1.702 } },
  },
  { name: "many rows of one", kind: "q4_k", K: 256, N: 300, offsets: [0, 0, 230, 231], x: "bf16" },
];
const isFp8 = ({ kind }: { readonly kind: string }): boolean => kindOf(kind).format === "fp8";
const withBytes = <C extends { readonly kind: string }>(list: readonly C[]) => [
  ...list,
  ...list.filter((c) => !isFp8(c)).map((c) => ({ ...c, activation: "int8" as const, skip: bytesOnCpu })),
];

/** x as a weight meets it. */
function met(x: Float64Array, { segments, inputs }: LinearWeight): Float64Array {
  const [{ format }] = segments as [WeightSegment];
  const isBytes = format.format !== "dense" && format.activation === "int8";
  return isBytes ? int8Rows(x, inputs, blockOf(format.group)) : x;
}

describeOp<GroupCase>(
  "groupedLinear with codes",
  withBytes(groupCases),
  async (
    context,
    { kind, N, K, offsets, x: dtype, topK, swiglu = false, clamp, activation = "float", ...c },
  ) => {
    const [E, M] = [offsets.length - 1, offsets.at(-1)!];
    const { weight, values } = randomCodeGroup(context, { ...kindOf(kind), E, N, K, swiglu, activation });
    const random = new Random(M + K);
    const S = topK ? M / topK : M;
    const x = random.normal(S * K, { dtype });
    const order = topK ? random.permutation(M) : undefined;
    const bias = c.bias ? random.normal(E * N, { std: 0.1 }) : undefined;
    const result = groupedLinear(
      ...([context.stream, context.tensor(dtype, [S, K], x), weight] as const),
      context.integers([E + 1], offsets),
      {
        ...(order && { order: context.integers([M], order), topK: topK! }),
        ...(bias && { bias: context.tensor("f32", [E, N], bias) }),
        ...(clamp && { clamp }),
      },
    );
    const width = swiglu ? N / 2 : N;
    const options = { ...(order && { order, topK: topK! }), swiglu, bias, clamp };
    const expected = reference(met(x, weight), values, Int32Array.from(offsets), { N, K }, options);
    expect(result.shape).toEqual([M, width]);
    expectClose(await context.read(result), expected, {
      dtype,
      shape: [M, width],
      reduction: K,
      ...roundedOn(context, dtype),
    });
    weight.dispose();
  },
);

interface HeadCase extends OpCase {
  readonly kind: string;
  readonly T: number;
  readonly x: FloatDType;
  readonly activation?: QuantizedFormat["activation"];
}

describeOp<HeadCase>(
  "headLinear with codes",
  withBytes(
    (["q8_0", "q4_k", "int4 in groups, zeros", "fp8 by rows"] as const).flatMap((kind, i) =>
      [1, 5, 100].map((T): HeadCase => ({ name: "", kind, T, x: dtypes[i % 3]! })),
    ),
  ),
  async (context, { kind, T, x: dtype, activation = "float" }: HeadCase) => {
    const [H, N, K] = [3, 40, Math.max(kindOf(kind).step, 70)];
    const { weight, values } = randomCodeGroup(context, {
      ...kindOf(kind),
      E: H,
      N,
      K: kind === "q8_0" ? 96 : K,
      activation,
    });
    const inputs = weight.inputs;
    const x = new Random(T).normal(T * H * inputs, { dtype });
    const result = headLinear(context.stream, context.tensor(dtype, [T, H, inputs], x), weight);
    const expected = headReference(met(x, weight), values, { H, N, K: inputs });
    expectClose(await context.read(result), expected, {
      dtype,
      shape: [T, H, N],
      reduction: inputs,
      ...roundedOn(context, dtype),
    });
    weight.dispose();
  },
);
