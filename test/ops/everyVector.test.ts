/**
 * Contract: ops that go through rows in vectors are right for every pair of dtypes and every vector: widths that are multiples
 * of 8, of 4 and of neither; rows longer than what the kernels keep in registers.
 */
import { add } from "../../lib/ops/add.js";
import { cast } from "../../lib/ops/cast.js";
import { embedding } from "../../lib/ops/embedding.js";
import { gelu } from "../../lib/ops/gelu.js";
import { geluMul } from "../../lib/ops/geluMul.js";
import { kvStore } from "../../lib/ops/kvStore.js";
import { layerNorm } from "../../lib/ops/layerNorm.js";
import { moeCombine } from "../../lib/ops/moeCombine.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { siluMul } from "../../lib/ops/siluMul.js";
import { clamp } from "../../lib/ops/clamp.js";
import { softcap } from "../../lib/ops/softcap.js";
import { softmax } from "../../lib/ops/softmax.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { add as addReference } from "../reference/add.js";
import { embedding as embeddingReference } from "../reference/embedding.js";
import { gelu as geluReference } from "../reference/gelu.js";
import { geluMul as geluMulReference } from "../reference/geluMul.js";
import { layerNorm as layerNormReference } from "../reference/layerNorm.js";
import { moeCombine as moeCombineReference } from "../reference/moeCombine.js";
import { rmsNorm as rmsNormReference } from "../reference/rmsNorm.js";
import { siluMul as siluMulReference } from "../reference/siluMul.js";
import { clamp as clampReference } from "../reference/clamp.js";
import { softcap as softcapReference } from "../reference/softcap.js";
import { softmax as softmaxReference } from "../reference/softmax.js";
import { expectClose } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

const T = 3;
/** Rows as embedding takes them; kvStore gets the inverse. */
const permutation = Int32Array.of(2, 0, 1);

/** The op on rows x [T, D] (pairs of halves: [T, 2 D]) of dtype `from`; the result is to be [T, D] of dtype `to`. */
interface Call {
  readonly context: OpContext;
  readonly x: Tensor;
  readonly values: Float64Array;
  readonly random: Random;
  readonly D: number;
  readonly to: FloatDType;
}
interface Outcome {
  readonly out: Tensor;
  readonly expected: Float64Array;
}
interface VectorOp {
  readonly run: (call: Call) => Outcome;
  /** x holds two rows of D for each of the result's. */
  readonly pairs?: true;
  /** Each element is a sum over the row, of which the kernels keep a part in registers. */
  readonly reduces?: true;
}

const ops: Readonly<Record<string, VectorOp>> = {
  cast: {
    run: ({ context, x, values, to }) => ({ out: cast(context.stream, x, to), expected: values }),
  },
  add: {
    run: ({ context, x, values, random, D, to }) => {
      const other = random.normal(T * D, { dtype: to });
      const a = context.tensor(to, [T, D], other);
      return { out: add(context.stream, a, x), expected: addReference(other, values) };
    },
  },
  gelu: {
    run: ({ context, x, values, to }) => ({
      out: gelu(context.stream, x, { approximate: "none", dtype: to }),
      expected: geluReference(values, { approximate: "none" }),
    }),
  },
  softcap: {
    run: ({ context, x, values, to }) => ({
      out: softcap(context.stream, x, { cap: 2, dtype: to }),
      expected: softcapReference(values, { cap: 2 }),
    }),
  },
  clamp: {
    run: ({ context, x, values, to }) => ({
      out: clamp(context.stream, x, { limit: 1, dtype: to }),
      expected: clampReference(values, { limit: 1 }),
    }),
  },
  geluMul: {
    pairs: true,
    run: ({ context, x, values, D, to }) => ({
      out: geluMul(context.stream, x, { approximate: "tanh", dtype: to }),
      expected: geluMulReference(values, { T, F: D }, { approximate: "tanh" }),
    }),
  },
  siluMul: {
    pairs: true,
    run: ({ context, x, values, D, to }) => ({
      out: siluMul(context.stream, x, { dtype: to }),
      expected: siluMulReference(values, { T, F: D }),
    }),
  },
  embedding: {
    run: ({ context, x, values, D, to }) => ({
      out: embedding(context.stream, context.integers([T], permutation), x, { dtype: to }),
      expected: embeddingReference(permutation, values, { V: T, D }),
    }),
  },
  kvStore: {
    run: ({ context, x, values, D, to }) => {
      const pages = [0, 1].map(() => context.tensor(to, [T, 1, 1, D], new Float64Array(T * D)));
      const rows = x.reshape([T, 1, D]);
      kvStore(context.stream, rows, rows, pages[0]!, pages[1]!, context.integers([T], [1, 2, 0]));
      return {
        out: pages[1]!.reshape([T, D]),
        expected: embeddingReference(permutation, values, { V: T, D }),
      };
    },
  },
  moeCombine: {
    pairs: true,
    run: ({ context, x, values, random, D, to }) => {
      const inverse = random.permutation(2 * T);
      const [weights, residual] = [random.normal(2 * T), random.normal(T * D)];
      const out = moeCombine(
        context.stream,
        x.reshape([2 * T, D]),
        context.integers([T, 2], inverse),
        context.tensor("f32", [T, 2], weights),
        { dtype: to, residual: context.tensor("f32", [T, D], residual) },
      );
      return { out, expected: moeCombineReference(values, inverse, weights, { T, K: 2, D }, { residual }) };
    },
  },
  softmax: {
    reduces: true,
    run: ({ context, x, values, D, to }) => ({
      out: softmax(context.stream, x, { dtype: to, causal: true }),
      expected: softmaxReference(values, { T, D }, { causal: true }),
    }),
  },
  rmsNorm: {
    reduces: true,
    run: ({ context, x, values, random, D, to }) => {
      const weight = random.normal(D);
      const out = rmsNorm(context.stream, x, context.tensor("f32", [D], weight), { dtype: to });
      return { out, expected: rmsNormReference(values, weight, { T, D }).out };
    },
  },
  "rmsNorm with a residual": {
    reduces: true,
    run: ({ context, x, values, random, D, to }) => {
      const [weight, residual] = [random.normal(D), random.normal(T * D)];
      const out = rmsNorm(context.stream, x, context.tensor("f32", [D], weight), {
        ...{ dtype: to, weightOffset: 1, residual: context.tensor("f32", [T, D], residual) },
      });
      return { out, expected: rmsNormReference(values, weight, { T, D }, { residual, weightOffset: 1 }).out };
    },
  },
  layerNorm: {
    reduces: true,
    run: ({ context, x, values, random, D, to }) => {
      const [weight, bias] = [random.normal(D), random.normal(D)];
      const [weights, biases] = [weight, bias].map((each) => context.tensor("f32", [D], each));
      const out = layerNorm(context.stream, x, weights!, biases!, { dtype: to });
      return { out, expected: layerNormReference(values, weight, bias, { T, D }) };
    },
  },
};

/** Multiples of 8, of 4, of neither; the same again beyond what a block keeps (16384, without vectors 4096 elements). */
const short = [72, 20, 37];
const long = [16384 + 72, 16384 + 20, 4096 + 37];
const dtypes = ["f32", "bf16", "f16"] as const;

interface VectorCase extends OpCase {
  readonly from: FloatDType;
  readonly to: FloatDType;
}
const cases: readonly VectorCase[] = Object.keys(ops).flatMap((name) =>
  dtypes.flatMap((from) => dtypes.map((to) => ({ name, from, to }))),
);

describeOp("every vector", cases, async (context, { name, from, to }) => {
  const { run, pairs, reduces } = ops[name]!;
  for (const D of reduces ? [...short, ...long] : short) {
    const random = new Random(D);
    const shape = [T, pairs ? 2 * D : D];
    const values = random.normal(shape[0]! * shape[1]!, { dtype: from });
    const { out, expected } = run({
      ...{ context, values, random, D, to },
      x: context.tensor(from, shape, values),
    });
    expectClose(await context.read(out), expected, {
      ...{ dtype: to, shape: [T, D], reduction: reduces ? D : 2, label: `D = ${D}` },
    });
  }
});
