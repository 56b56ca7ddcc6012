import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { flag, tensor, tensorOrNull } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface RopeOptions {
  /** Rotate the pairs (2i, 2i + 1) instead of (i, i + R/2). Default false. */
  readonly interleaved?: boolean | undefined;
}

/**
 * Rotary position embedding, in place on q and k: rotates the first R dimensions of every head.
 *
 *     a' = a cos - b sin;   b' = b cos + a sin     (a, b) = (x[i], x[i + R/2]),  0 <= i < R/2
 *
 * R is the number of rotated dimensions, Lmax the longest context.
 *
 * @param q [T, Hq, Dh], f32 | bf16 | f16; the last axis is contiguous; overwritten
 * @param k [T, Hkv, Dh], dtype of q, or null; the last axis is contiguous; overwritten
 * @param positions [T], i32, 0 <= position < Lmax
 * @param table [Lmax, R], f32: the R/2 cosines of a position, then its R/2 sines (lib/nn/ropeTable.ts); R even, <= Dh
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: a position outside [0, Lmax)
 * @see Su et al.: RoFormer: Enhanced Transformer with Rotary Position Embedding, arXiv 2104.09864, section 3.4.2;
 *   native/ops/rope
 */
export const rope = op(
  "rope",
  { q: tensor, k: tensorOrNull, positions: tensor, table: tensor },
  optionsOf<RopeOptions>({ interleaved: flag }),
  (
    stream: Stream,
    q: Tensor,
    k: Tensor | null,
    positions: Tensor,
    table: Tensor,
    options: RopeOptions = {},
  ): void => {
    stream.run(native.ops.rope, q, k, positions, table, options.interleaved ?? false);
  },
);
