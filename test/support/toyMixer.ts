/**
 * A model whose layers keep a slot, made of the ops that there are. Its mixer is attention over the last tokens, whose keys and
 * values lie in a ring in the slot of the sequence: token j at place j mod 2 W, so that a chunk of W tokens and the window before
 * it have room. What it makes of a token depends on the slot as soon as the token is not the first of its step.
 */
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Tensor } from "../../lib/device/tensor.js";
import type { Model } from "../../lib/models/model.js";
import { attentionBlock } from "../../lib/nn/attention.js";
import { decoder, type Layer } from "../../lib/nn/decoder.js";
import { mambaBlock } from "../../lib/nn/mamba.js";
import { rmsNormBlock } from "../../lib/nn/norm.js";
import { type Block, preNorm, type SlotCache } from "../../lib/nn/part.js";
import { kvStore } from "../../lib/ops/kvStore.js";
import { linear } from "../../lib/ops/linear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { stepInputs } from "../../lib/ops/stepInputs.js";
import { tableGather } from "../../lib/ops/tableGather.js";
import { tableScatter } from "../../lib/ops/tableScatter.js";
import { BlockWeights } from "./blockWeights.js";
import type { OpContext } from "./devices.js";
import { Random } from "./random.js";

/** W */
export const mixerWindow = 8;
const [V, D, H, Dh] = [37, 32, 2, 16];
const scale = Dh ** -0.5;

export interface ToyOptions {
  /** A letter for each layer: m mixes through its slot, M is that of Mamba-2, s is attention of a window, f attention to everything. */
  readonly layers: string;
  readonly dtype: FloatDType;
  readonly maxPositions: number;
  /** Of the engine that will run it. */
  readonly maxSequences: number;
}

/** Tensors stay until the device ends. */
export function toyModel(context: OpContext, options: ToyOptions): Model {
  const { dtype, maxPositions, layers } = options;
  const weights = new BlockWeights(context, new Random(17), dtype);
  const norm = () => rmsNormBlock({ eps: 1e-5, dtype }, { weight: weights.vector(D, 1).tensor });
  const projections = () => ({
    qkv: weights.packed(weights.matrix(3 * H * Dh, D)),
    output: weights.packed(weights.matrix(D, H * Dh)),
  });
  const attention = (window: number): Block =>
    attentionBlock({ numHeads: H, numKvHeads: H, headDim: Dh, dtype, scale, window }, projections());
  const blocks = {
    m: () => ringMixer(context, options, projections()),
    M: () => mambaMixer(weights, options),
    s: () => attention(11),
    f: () => attention(0),
  };
  const built = decoder({
    width: D,
    input: { embedding: weights.table(V, D).tensor },
    layers: [...layers].map((kind): Layer => [preNorm(norm(), blocks[kind as keyof typeof blocks]())]),
    output: { finalNorm: norm(), head: weights.packed(weights.matrix(V, D)) },
  });
  const shape = {
    ...{
      architecture: "Toy",
      maxPositions,
      dtype,
      weightBytes: 0,
      weights: [],
      hasHead: true,
      fingerprint: "",
      vocabSize: V,
      numLayers: layers.length,
    },
    ...{
      hiddenSize: D,
      numHeads: H,
      numKvHeads: H,
      headDim: Dh,
      valueDim: Dh,
      numExperts: 0,
      expertsPerToken: 0,
    },
  };
  return { ...built, shape, dispose: () => undefined };
}

function mambaMixer(weights: BlockWeights, { dtype }: ToyOptions): Block {
  const [P, N, taps] = [D, 8, 4];
  const input = weights.matrix(H * P + (H * P + 2 * N) + H, D);
  return mambaBlock(
    { numHeads: H, headDim: P, numGroups: 1, stateSize: N, taps, dtype, normEps: 1e-5, stepLimits: [0, 1] },
    {
      input: weights.packed(input),
      conv: weights.filters(H * P + 2 * N, taps).tensor,
      a: weights.vector(H, -1.5).tensor,
      dtBias: weights.vector(H).tensor,
      skip: weights.vector(H, 1).tensor,
      norm: weights.vector(H * P, 1).tensor,
      output: weights.packed(weights.matrix(D, H * P)),
    },
  );
}

type Projections = Record<"qkv" | "output", ReturnType<BlockWeights["packed"]>>;

function ringMixer(context: OpContext, options: ToyOptions, { qkv, output }: Projections): Block {
  const { dtype, maxPositions, maxSequences } = options;
  const ring = 2 * mixerWindow;
  const [R, pages] = [maxSequences + 1, Math.ceil(maxPositions / ring)];
  const heads = { dtype, shape: [ring, H, Dh] };
  const i32 = (shape: readonly number[], fill: (i: number) => number): Tensor => {
    const tensor = context.device.empty("i32", shape);
    tensor.write(
      context.stream,
      Int32Array.from({ length: tensor.numel }, (_, i) => fill(i)),
    );
    return tensor;
  };
  // Every page of a sequence is its ring; that of padding, whose row is the last, is the dummy block.
  const pageTable = i32([R, pages], () => 0);
  const realRows = i32([R, 1], (row) => (row < maxSequences ? row : -1));
  const numbers = Array.from({ length: Math.max(pages, 8) }, (_, n) => i32([R], () => n));
  const own = { lengths: i32([R], () => 0), tokenPool: i32([R, maxPositions], () => 0) };
  const groups = i32([1, 2], (i) => [ring, 1][i]!);
  const none = i32([0], () => 0);

  return {
    state: { lifetime: "slot", tensors: { k: heads, v: heads } },
    run(stream, { x, inputs, cache, join }) {
      const { state, places: blocks } = cache as SlotCache;
      const { rows, positions, cuSeqlensQ, contextLens } = inputs;
      const [B, T] = [rows.size(0), x.size(0)];
      const all = (n: number): Tensor => numbers[n]!.slice(0, 0, B);
      const real = tableGather(stream, realRows, rows, all(0));
      for (let page = 0; page < pages; page++) tableScatter(stream, pageTable, real, all(page), blocks);
      const firsts = cuSeqlensQ.slice(0, 0, B);
      const starts = tableGather(stream, positions.reshape([1, T]), all(0), firsts);
      const { slots } = stepInputs(stream, T, {
        ...{ rows, starts, cuSeqlensQ, logitIndices: none, ...own },
        ...{ pageTables: pageTable.reshape([1, R, pages]), groups },
      });
      const all3 = linear(stream, x, qkv);
      const [q, k, v] = [0, 1, 2].map((i) =>
        all3.slice(1, i * H * Dh, (i + 1) * H * Dh).splitLast(H, Dh),
      ) as [Tensor, Tensor, Tensor];
      const [kRing, vRing] = [state["k"]!, state["v"]!];
      kvStore(stream, k, v, kRing, vRing, slots.reshape([T]));
      const mixed = pagedAttention(stream, q, kRing, vRing, pageTable, rows, cuSeqlensQ, contextLens, {
        ...{ scale, window: mixerWindow },
      });
      join((into) => linear(stream, mixed.reshape([T, H * Dh]), output, into));
    },
  };
}
