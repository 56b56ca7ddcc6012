import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tensor } from "./argumentKinds.js";
import { op } from "./op.js";

/**
 * Scatters the keys and values of new tokens into KV pages, in place.
 *
 *     kPages[slot / Ps, slot % Ps, h, d] = k[t, h, d]  with slot = slots[t], the same for v; slot -1 stores nothing
 *
 * @param k [T, Hkv, Dh], f32 | bf16 | f16; the last axis is contiguous
 * @param v [T, Hkv, Dv], dtype of k; the last axis is contiguous
 * @param kPages [P, Ps, Hkv, Dh], f32 | bf16 | f16 (k is converted to it); the last axis is contiguous
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
  undefined,
  (stream: Stream, k: Tensor, v: Tensor, kPages: Tensor, vPages: Tensor, slots: Tensor): void => {
    stream.run(native.ops.kvStore, k, v, kPages, vPages, slots);
  },
);
