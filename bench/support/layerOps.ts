/** The op calls of one decoder step of a Qwen3 shape, apart from each other, so that each can be timed with its own shapes. */
import { argmax } from "../../lib/ops/argmax.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { linear } from "../../lib/ops/linear.js";
import { type LinearWeight, packLinear } from "../../lib/ops/packLinear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { qkNormRopeStore } from "../../lib/ops/qkNormRopeStore.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { filled } from "./inputs.js";
import type { ModelShape } from "./modelShapes.js";

/** One kind of op call in a step. */
export interface StepOp {
  readonly name: string;
  /** How often a step calls it. */
  readonly calls: number;
  /** Queues call number `index`, from 0: every layer has its own weights and pages, so that none stays in a cache. */
  readonly run: (index: number) => void;
  readonly flops: number;
  /** Weights and KV that one call reads. */
  readonly bytes: number;
}

export interface StepSize {
  /** B; each runs the same number of tokens */
  readonly sequences: number;
  /** T of one sequence */
  readonly tokens: number;
  /** L: tokens of one sequence, those of this step included */
  readonly context: number;
}

const pageSize = 16;
const bf16Bytes = 2;

/** Allocates weights and inputs in bf16 on the stream's open scope. */
export function stepOps(stream: Stream, shape: ModelShape, size: StepSize): StepOp[] {
  const { hiddenSize: D, numHeads, numKvHeads, headDim, mlpWidth: F, vocabSize: V, numLayers } = shape;
  const [Q, KV] = [numHeads * headDim, numKvHeads * headDim];
  const T = size.sequences * size.tokens;
  const residual = filled(stream, "f32", [T, D]);
  const norm = filled(stream, "f32", [D]);
  const headNorm = filled(stream, "f32", [headDim]);
  const qkv = filled(stream, "bf16", [T, Q + 2 * KV]);
  const q = qkv.slice(1, 0, Q).splitLast(numHeads, headDim);
  const k = qkv.slice(1, Q, Q + KV).splitLast(numKvHeads, headDim);
  const v = qkv.slice(1, Q + KV, Q + 2 * KV).splitLast(numKvHeads, headDim);
  const logits = filled(stream, "f32", [size.sequences, V]);
  const light = (name: string, calls: number, run: () => void): StepOp => ({
    name,
    calls,
    run,
    flops: 0,
    bytes: 0,
  });
  const matrix = (
    name: string,
    K: number,
    N: number,
    calls: number,
    { rows = T, swiglu = false } = {},
  ): StepOp => {
    const weights = packed(stream, { N, K, swiglu }, calls);
    const x = filled(stream, "bf16", [rows, K]);
    const options =
      N === D ? { residual, out: residual } : { dtype: N === V ? ("f32" as const) : ("bf16" as const) };
    const run = (index: number): void => void linear(stream, x, weights[index]!, options);
    return {
      name: `linear ${name} ${K} -> ${N}`,
      calls,
      run,
      flops: 2 * rows * N * K,
      bytes: N * K * bf16Bytes,
    };
  };
  return [
    matrix("qkv", D, Q + 2 * KV, numLayers),
    matrix("attention output", Q, D, numLayers),
    matrix("gate and up", D, 2 * F, numLayers, { swiglu: true }),
    matrix("down", F, D, numLayers),
    matrix("head", D, V, 1, { rows: size.sequences }),
    ...attentionOps(stream, shape, size, { q, k, v }, { qWeight: headNorm, kWeight: headNorm }),
    light("rmsNorm", 2 * numLayers + 1, () => rmsNorm(stream, residual, norm, { dtype: "bf16" })),
    light("argmax", 1, () => argmax(stream, logits)),
  ];
}

/** Weights of equal values in memory of their own. */
function packed(
  stream: Stream,
  { N, K, swiglu }: { readonly N: number; readonly K: number; readonly swiglu: boolean },
  count: number,
): LinearWeight[] {
  const scope = stream.scope();
  const source = filled(stream, "bf16", [N, K]);
  const weights = Array.from({ length: count }, () => packLinear(stream, source, { swiglu }));
  scope.close();
  return weights;
}

function attentionOps(
  stream: Stream,
  { numLayers, numHeads, numKvHeads, headDim }: ModelShape,
  { sequences: B, tokens, context }: StepSize,
  { q, k, v }: { readonly q: Tensor; readonly k: Tensor; readonly v: Tensor },
  norms: { readonly qWeight: Tensor; readonly kWeight: Tensor },
): StepOp[] {
  const ints = (shape: readonly number[], value: (i: number) => number): Tensor => {
    const count = shape.reduce((product, each) => product * each, 1);
    return stream.fromArray(
      "i32",
      shape,
      Int32Array.from({ length: count }, (_, i) => value(i)),
    );
  };
  const pagesEach = Math.ceil(context / pageSize);
  const token = (i: number): number => context - tokens + (i % tokens); // position in its sequence
  const pages = filled(stream, "bf16", [numLayers, B * pagesEach * pageSize * numKvHeads * headDim]);
  const layerPages = (layer: number): Tensor =>
    pages.slice(0, layer, layer + 1).reshape([B * pagesEach, pageSize, numKvHeads, headDim]);
  const positions = ints([B * tokens], token);
  const slots = ints([B * tokens], (i) => Math.floor(i / tokens) * pagesEach * pageSize + token(i));
  const pageTable = ints([B, pagesEach], (i) => i);
  const rows = ints([B], (i) => i);
  const cuSeqlensQ = ints([B + 1], (i) => i * tokens);
  const contextLens = ints([B], () => context);
  const sizes = { numQueries: B * tokens, numHeads, numKvHeads, headDim, pageSize, dtype: "bf16" } as const;
  const makePlan = (out?: Tensor): Tensor =>
    attentionPlan(stream, pageTable, rows, cuSeqlensQ, contextLens, { ...sizes, out });
  const plan = makePlan();
  const angles = filled(stream, "f32", [context, headDim]);
  // Query i of a sequence sees the context up to itself.
  const pairs = B * tokens * (context - (tokens - 1) / 2);
  return [
    { name: "attentionPlan", calls: 1, run: () => makePlan(plan), flops: 0, bytes: 0 },
    {
      name: "pagedAttention",
      calls: numLayers,
      run: (layer) => {
        const cache = layerPages(layer);
        pagedAttention(stream, q, cache, cache, pageTable, rows, cuSeqlensQ, contextLens, { plan });
      },
      flops: 4 * pairs * numHeads * headDim,
      bytes: 2 * B * context * numKvHeads * headDim * bf16Bytes,
    },
    {
      name: "qkNormRopeStore",
      calls: numLayers,
      run: (layer) => {
        const [kPages, vPages] = [layerPages(layer), layerPages(layer)];
        qkNormRopeStore(stream, q, k, v, { ...norms, positions, table: angles, kPages, vPages, slots });
      },
      flops: 0,
      bytes: 0,
    },
  ];
}
