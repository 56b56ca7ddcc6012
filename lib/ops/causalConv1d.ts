import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { choice, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

// In the order of ConvActivation, native/ops/causal_conv1d/causal_conv1d.h.
const activations = ["none", "silu"] as const;

/** What `causalConv1d` applies to its sums: silu(z) = z / (1 + e^-z), or nothing. */
export type ConvActivation = (typeof activations)[number];

export interface CausalConv1dOptions {
  /** [D], f32. Left out: zeros. */
  readonly bias?: Tensor | undefined;
  /** Default "none". */
  readonly activation?: ConvActivation | undefined;
  /** [B + 1], i32: sequence b owns the tokens [cuSeqlensQ[b], cuSeqlensQ[b + 1]) of the step; the last entry is T. */
  readonly cuSeqlensQ: Tensor;
  /**
   * [B], i32: tokens of each sequence after this step, these included. A sequence that has no others begins from zeros, whatever its
   * state holds.
   */
  readonly contextLens: Tensor;
  /** [N, W - 1, D], dtype of x, the last axis contiguous: the last inputs of each sequence, oldest first. Read and written. */
  readonly state: Tensor;
  /**
   * [B], i32: place of each sequence in `state`. No place twice: it would hold the inputs of either sequence. -1 (padding): the
   * sequence begins from zeros and keeps nothing.
   */
  readonly stateIndices: Tensor;
  /** Where to write the result ([T, D], dtype of x); must not overlap x or state. */
  readonly out?: Tensor | undefined;
}

/**
 * Depthwise causal convolution over the tokens of each sequence, as state space models have it before their scan.
 *
 *     out[t, d] = act(bias[d] + sum over w < W of weight[d, w] * in(t - W + 1 + w, d))
 *
 * in() of the tokens of this step is x, of the W - 1 before them `state`, and zero before the sequence begins. Afterwards the state of
 * each sequence that has tokens in this step holds its last W - 1 inputs. A sequence may be run in chunks of any sizes, with the
 * same bits.
 *
 * @param x [T, D], f32 | bf16 | f16; the last axis is contiguous
 * @param weight [D, W], f32, W from 2 to 8; the newest input comes last
 * @returns [T, D], dtype of x
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: cuSeqlensQ that does not rise from 0 to T, a sequence of fewer tokens than
 *   it has in this step, an index outside [-1, N)
 * @see Gu, Dao: Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752, section 3.4;
 *   native/ops/causal_conv1d
 */
export const causalConv1d = op(
  "causalConv1d",
  { x: tensor, weight: tensor },
  optionsOf<CausalConv1dOptions>({
    bias: tensor,
    activation: choice(...activations),
    cuSeqlensQ: required(tensor),
    contextLens: required(tensor),
    state: required(tensor),
    stateIndices: required(tensor),
    out: tensor,
  }),
  (stream: Stream, x: Tensor, weight: Tensor, options: CausalConv1dOptions): Tensor => {
    const { bias = null, activation = "none", cuSeqlensQ, contextLens, state, stateIndices } = options;
    const out = options.out ?? stream.empty(x.dtype, x.shape);
    stream.run(
      native.ops.causalConv1d,
      ...([x, weight, bias, cuSeqlensQ, contextLens, state, stateIndices, out] as const),
      activations.indexOf(activation),
    );
    return out;
  },
);
