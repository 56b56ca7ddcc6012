/**
 * The mixer of Mamba-2: a short convolution, a state space recurrence and a gated norm between two projections. What it
 * keeps of a sequence is a slot: the last inputs of the convolution, and the state of the recurrence in f32.
 *
 * Ranks do not share it, each computes all of it: the norm of a group runs over its heads, which ranks would have to sum first.
 *
 * Dao, Gu: Transformers are SSMs (arXiv 2405.21060), section 7.1. By its duality with attention c are the queries, b the keys and x the
 * values of the recurrence.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Tensor } from "../device/tensor.js";
import { causalConv1d } from "../ops/causalConv1d.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import { rmsNorm } from "../ops/rmsNorm.js";
import { ssmScan } from "../ops/ssmScan.js";
import type { Block, SlotCache } from "./part.js";
import type { LayerState, StateSpec } from "./state.js";

export interface MambaConfig {
  /** H */
  readonly numHeads: number;
  /** P */
  readonly headDim: number;
  /** G, a divisor of numHeads: neighbouring heads share b and c. Each group is normalised by itself. */
  readonly numGroups: number;
  /** N, numbers that a channel keeps */
  readonly stateSize: number;
  /** W, inputs that a channel's convolution sees */
  readonly taps: number;
  /** Of activations. */
  readonly dtype: FloatDType;
  /** Of the gated norm. */
  readonly normEps: number;
  /** The least and the largest step after softplus. */
  readonly stepLimits: readonly [number, number];
}

export interface MambaWeights {
  /** Gate z, then x, b and c, then dt: [H * P + (H * P + 2 G * N) + H, D] */
  readonly input: LinearWeight;
  /** f32, the rows of `input` */
  readonly inputBias?: Tensor | undefined;
  /** Of x, b and c: [H * P + 2 G * N, W] f32, the newest input last */
  readonly conv: Tensor;
  /** [H * P + 2 G * N] f32 */
  readonly convBias?: Tensor | undefined;
  /** [H] f32, negative: -exp(A_log) of checkpoints */
  readonly a: Tensor;
  /** [H] f32 */
  readonly dtBias: Tensor;
  /** [H] f32: D of checkpoints */
  readonly skip: Tensor;
  /** [H * P] f32 */
  readonly norm: Tensor;
  /** [D, H * P] */
  readonly output: LinearWeight;
  /** [D] f32 */
  readonly outputBias?: Tensor | undefined;
}

/** The slots of one layer. */
interface MambaSlots extends LayerState {
  /** [blocks, W - 1, H * P + 2 G * N] */
  readonly conv: Tensor;
  /** [blocks, H, N, P] f32 */
  readonly scan: Tensor;
}

function mambaState({ numHeads, headDim, numGroups, stateSize, taps, dtype }: MambaConfig): StateSpec {
  const channels = numHeads * headDim + 2 * numGroups * stateSize;
  return {
    lifetime: "slot",
    tensors: {
      conv: { dtype, shape: [taps - 1, channels] }, // inputs as they were: no bits are lost
      scan: { dtype: "f32", shape: [numHeads, stateSize, headDim] },
    },
  };
}

/** output(norm(scan(conv(xbc), dt) * silu(z))), z, xbc, dt = input(x) */
export function mambaBlock(config: MambaConfig, weights: MambaWeights): Block {
  const { numHeads, headDim, numGroups, stateSize, normEps } = config;
  const [dtMin, dtMax] = config.stepLimits;
  const [inner, shared] = [numHeads * headDim, numGroups * stateSize];
  const convolved = inner + 2 * shared;
  const normWeight = weights.norm.reshape([numGroups, inner / numGroups]);

  const run: Block["run"] = (stream, { x, inputs, cache, join }) => {
    const { state, places: stateIndices } = cache as SlotCache;
    const { conv, scan } = state as MambaSlots;
    const { cuSeqlensQ, contextLens } = inputs;
    const step = { cuSeqlensQ, contextLens, stateIndices };
    const projected = linear(stream, x, weights.input, { bias: weights.inputBias });
    const columns = (from: number, count: number): Tensor => projected.slice(1, from, from + count);
    const gate = columns(0, inner).splitLast(numGroups, inner / numGroups); // [T, G, H * P / G]
    const xbc = causalConv1d(stream, columns(inner, convolved), weights.conv, {
      ...{ ...step, state: conv, bias: weights.convBias, activation: "silu" },
    });
    const dt = columns(inner + convolved, numHeads); // [T, H]
    const values = xbc.slice(1, 0, inner).splitLast(numHeads, headDim); // [T, H, P]
    const [b, c] = [inner, inner + shared].map((from) => {
      return xbc.slice(1, from, from + shared).splitLast(numGroups, stateSize); // [T, G, N]
    }) as [Tensor, Tensor];
    const mixed = ssmScan(stream, values, dt, weights.a, b, c, {
      ...{ ...step, state: scan, skip: weights.skip, dtBias: weights.dtBias, dtMin, dtMax },
    }).reshape([x.size(0), numGroups, inner / numGroups]);
    const normed = rmsNorm(stream, mixed, normWeight, { eps: normEps, gate, out: mixed });
    const hidden = normed.reshape([x.size(0), inner]); // [T, H * P]
    join((into) => linear(stream, hidden, weights.output, { bias: weights.outputBias, ...into }));
  };
  return { state: mambaState(config), run };
}
