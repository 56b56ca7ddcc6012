import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { number, required, tensor } from "./argumentKinds.js";
import type { KvScales } from "./kvStore.js";
import { op, optionsOf } from "./op.js";

export interface QkNormRopeStoreOptions extends KvScales {
  /** As `kvStore` has it; of values with one head also [P, Ps, ceil(Dv / 128)], f32: a factor for each 128 numbers, as `mlaAttention` reads latents. */
  readonly vScales?: Tensor | undefined;
  /** [T], i32: the place of each token in its sequence, 0 <= position < Lmax. */
  readonly positions: Tensor;
  /** [Lmax, R], f32: the R/2 cosines of a position, then its R/2 sines (lib/nn/ropeTable.ts); R even, <= Dh. */
  readonly table: Tensor;
  /** [P, Ps, Hkv, Dh], f32 | bf16 | f16 | i8 | fp8e4m3 (keys are converted to it, as `kvStore` does): written. */
  readonly kPages: Tensor;
  /** [P, Ps, Hkv, Dv], f32 | bf16 | f16 | i8 | fp8e4m3, which need not be the dtype of kPages: written. */
  readonly vPages: Tensor;
  /** [T], i32: page * Ps + offset; -1 stores nothing. No two tokens may have the same slot. */
  readonly slots: Tensor;
  /** [Dh], f32: weight of the norm of each query head. Default: no norm. */
  readonly qWeight?: Tensor | undefined;
  /** [Dh], f32: weight of the norm of each key head. Default: no norm. */
  readonly kWeight?: Tensor | undefined;
  /** Of the norms. Default 1e-6. */
  readonly eps?: number | undefined;
}

/**
 * What attention does to new tokens before it looks at them, in one op: norms of heads, rotary positions (split halves), and keys
 * and values into their pages.
 *
 *     q = rope(rmsNorm(q)), in place;   kPages[slot] = rope(rmsNorm(k));   vPages[slot] = v
 *
 * Results are rounded to the dtype of q behind the norm and behind the rotation, and to that of the pages: on the CPU it has the
 * bits of `rmsNorm`, `rope` and `kvStore` one after another. What is written (q and the pages) must not overlap what else is given;
 * q, k and v may be columns of one tensor.
 *
 * @param q [T, Hq, Dh], f32 | bf16 | f16; the last axis is contiguous; Dh <= 512; overwritten
 * @param k [T, Hkv, Dh], dtype of q; the last axis is contiguous
 * @param v [T, Hkv, Dv], dtype of q; the last axis is contiguous
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: a position outside [0, Lmax), a slot outside [-1, P * Ps)
 * @see rmsNorm, rope and kvStore for the sources; native/ops/qk_norm_rope_store
 */
export const qkNormRopeStore = op(
  "qkNormRopeStore",
  { q: tensor, k: tensor, v: tensor },
  optionsOf<QkNormRopeStoreOptions>({
    positions: required(tensor),
    table: required(tensor),
    kPages: required(tensor),
    vPages: required(tensor),
    slots: required(tensor),
    qWeight: tensor,
    kWeight: tensor,
    eps: number,
    kScales: tensor,
    vScales: tensor,
  }),
  (stream: Stream, q: Tensor, k: Tensor, v: Tensor, options: QkNormRopeStoreOptions): void => {
    const { positions, table, kPages, vPages, slots, qWeight = null, kWeight = null, eps = 1e-6 } = options;
    stream.run(
      native.ops.qkNormRopeStore,
      ...([q, k, v, qWeight, kWeight, positions, table, kPages, vPages, slots] as const),
      ...([eps, options.kScales ?? null, options.vScales ?? null] as const),
    );
  },
);
