import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { number, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface SsmScanOptions {
  /** [H], f32: factor of x in the result, the D of papers. Left out: 0. */
  readonly skip?: Tensor | undefined;
  /** [H], f32, added to dt. Left out: zeros. */
  readonly dtBias?: Tensor | undefined;
  /** The least step, after softplus. Default 0. */
  readonly dtMin?: number | undefined;
  /** The largest step, after softplus. Default Infinity. */
  readonly dtMax?: number | undefined;
  /** [B + 1], i32: sequence b owns the tokens [cuSeqlensQ[b], cuSeqlensQ[b + 1]) of the call; the last entry is T. */
  readonly cuSeqlensQ: Tensor;
  /**
   * [B], i32: tokens of each sequence after this call, these included. A sequence that has no others begins from zeros, whatever its
   * state holds.
   */
  readonly contextLens: Tensor;
  /** [S, H, N, P], f32, the last axis contiguous: the state of each sequence. Read and written. */
  readonly state: Tensor;
  /**
   * [B], i32: place of each sequence in `state`. No place twice: it would hold the state of either sequence. -1 (padding): the
   * sequence begins from zeros and keeps nothing.
   */
  readonly stateIndices: Tensor;
  /** Where to write the result ([T, H, P], dtype of x); must not overlap what is read. */
  readonly out?: Tensor | undefined;
}

/**
 * The selective state space recurrence of Mamba-2 over the tokens of each sequence. Of head h, with d = clamp(softplus(dt[t, h] +
 * dtBias[h]), dtMin, dtMax) and the b and c of its group floor(h * G / H):
 *
 *     state[n, p] = exp(a[h] * d) * state[n, p] + d * x[t, h, p] * b[t, n]
 *     out[t, h, p] = skip[h] * x[t, h, p] + sum over n of c[t, n] * state[n, p]
 *
 * A sequence may be run in chunks of any sizes, with the same bits: its state is kept in f32.
 *
 * @param x [T, H, P], f32 | bf16 | f16; the last axis is contiguous
 * @param dt [T, H], dtype of x, the last axis contiguous: steps before bias and softplus
 * @param a [H], f32, negative: how fast a state decays
 * @param b [T, G, N], dtype of x, the last axis contiguous: what a token adds; G divides H, N is at most 256
 * @param c [T, G, N], dtype of x, the last axis contiguous: what a token reads
 * @returns [T, H, P], dtype of x
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: cuSeqlensQ that does not rise from 0 to T, a sequence of fewer tokens than
 *   it has in this call, an index outside [-1, S)
 * @see Dao, Gu: Transformers are SSMs: Generalized Models and Efficient Algorithms Through Structured State Space Duality,
 *   arXiv 2405.21060; native/ops/ssm_scan
 */
export const ssmScan = op(
  "ssmScan",
  { x: tensor, dt: tensor, a: tensor, b: tensor, c: tensor },
  optionsOf<SsmScanOptions>({
    skip: tensor,
    dtBias: tensor,
    dtMin: number,
    dtMax: number,
    cuSeqlensQ: required(tensor),
    contextLens: required(tensor),
    state: required(tensor),
    stateIndices: required(tensor),
    out: tensor,
  }),
  (
    stream: Stream,
    x: Tensor,
    dt: Tensor,
    a: Tensor,
    b: Tensor,
    c: Tensor,
    options: SsmScanOptions,
  ): Tensor => {
    const { skip = null, dtBias = null, dtMin = 0, dtMax = Infinity } = options;
    const { cuSeqlensQ, contextLens, state, stateIndices } = options;
    const out = options.out ?? stream.empty(x.dtype, x.shape);
    stream.run(
      native.ops.ssmScan,
      ...([x, dt, a, b, c, skip, dtBias, cuSeqlensQ, contextLens, state, stateIndices, out] as const),
      ...([dtMin, dtMax] as const),
    );
    return out;
  },
);
