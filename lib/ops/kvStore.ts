import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

/**
 * The factors of keys and values that are kept as codes of 8 bits (i8 or fp8e4m3), one for each head of each token: a value is its code times the
 * factor. They go with such pages, and with no others.
 */
export interface KvScales {
  /** [P, Ps, Hkv], f32: of kPages; the last axis is contiguous. */
  readonly kScales?: Tensor | undefined;
  /** [P, Ps, Hkv], f32: of vPages; the last axis is contiguous. */
  readonly vScales?: Tensor | undefined;
}

/**
 * Scatters the keys and values of new tokens into KV pages, in place.
 *
 *     kPages[slot / Ps, slot % Ps, h, d] = k[t, h, d]  with slot = slots[t], the same for v; slot -1 stores nothing
 *
 * Codes are rounded to nearest even, of x * (c / most) with most = max |x| over the head and c = 127 (i8) or 448 (fp8e4m3), and the
 * scale is most / c. A head with NaN or infinity in it has the scale NaN; one without an element of 1e-30 or more has zeros.
 *
 * @param k [T, Hkv, Dh], f32 | bf16 | f16; the last axis is contiguous
 * @param v [T, Hkv, Dv], dtype of k; the last axis is contiguous
 * @param kPages [P, Ps, Hkv, Dh], f32 | bf16 | f16 | i8 | fp8e4m3 (k is converted to it); the last axis is contiguous
 * @param vPages [P, Ps, Hkv, Dv], dtype of kPages; the last axis is contiguous
 * @param slots [T], i32: page * Ps + offset, or -1. No two tokens may have the same slot.
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: a slot outside [-1, P * Ps)
 * @see Kwon et al.: Efficient Memory Management for Large Language Model Serving with PagedAttention, arXiv 2309.06180,
 *   section 4; native/ops/kv_store
 */
export const kvStore = op(
  "kvStore",
  { k: tensor, v: tensor, kPages: tensor, vPages: tensor, slots: tensor },
  optionsOf<KvScales>({ kScales: tensor, vScales: tensor }),
  (
    stream: Stream,
    k: Tensor,
    v: Tensor,
    kPages: Tensor,
    vPages: Tensor,
    slots: Tensor,
    { kScales, vScales }: KvScales = {},
  ): void => {
    stream.run(native.ops.kvStore, k, v, kPages, vPages, slots, kScales ?? null, vScales ?? null);
  },
);
