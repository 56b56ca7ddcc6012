import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface EmbeddingOptions {
  /** Dtype of the result, for example f32 for the residual stream of a bf16 table. Default: that of table. */
  readonly dtype?: FloatDType;
  /** Where to write the result ([T, D]). */
  readonly out?: Tensor;
}

/**
 * Row lookup, also used as a plain row gather (hidden states of the last token of each sequence).
 *
 *     out[t] = table[ids[t]]
 *
 * @param ids [T], i32, each in [0, V); verified when the op runs: an id outside poisons the stream (ExecutionError)
 * @param table [V, D], f32 | bf16 | f16; the last axis is contiguous
 * @returns [T, D]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/embedding
 */
export const embedding = op(
  "embedding",
  { ids: tensor, table: tensor },
  optionsOf<EmbeddingOptions>({ dtype: floatDType, out: tensor }),
  (stream: Stream, ids: Tensor, table: Tensor, options: EmbeddingOptions = {}): Tensor => {
    const out = options.out ?? stream.empty(options.dtype ?? table.dtype, [ids.size(0), table.size(-1)]);
    stream.run(native.ops.embedding, ids, table, out);
    return out;
  },
);
