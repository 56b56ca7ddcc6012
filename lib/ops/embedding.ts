import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import { floatDType, tensor, tensorOrWeight } from "./argumentKinds.js";
import { type LinearWeight, requireInputsInOrder, type WeightSegment } from "./linearWeight.js";
import { op, optionsOf } from "./op.js";

export interface EmbeddingOptions {
  /** Dtype of the result, for example f32 for the residual stream of a bf16 table. Default: that of table, f32 of one of codes. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result ([T, D]). */
  readonly out?: Tensor | undefined;
}

/** What rows are looked up in. */
export type EmbeddingTable = Tensor | LinearWeight;

/**
 * Row lookup, also used as a plain row gather (hidden states of the last token of each sequence).
 *
 *     out[t] = table[ids[t]]
 *
 * @param ids [T], i32, each in [0, V); verified when the op runs: an id outside poisons the stream (ExecutionError)
 * @param table [V, D], f32 | bf16 | f16; the last axis is contiguous. Or a weight of one segment from packLinear or
 * packStored: a head that is tied to the embedding is the same memory
 * @returns [T, D]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/embedding
 */
export const embedding = op(
  "embedding",
  { ids: tensor, table: tensorOrWeight },
  optionsOf<EmbeddingOptions>({ dtype: floatDType, out: tensor }),
  (stream: Stream, ids: Tensor, table: EmbeddingTable, options: EmbeddingOptions = {}): Tensor => {
    const isTensor = Tensor.is(table);
    const weight = isTensor ? null : onlySegment(table);
    const width = isTensor ? table.size(-1) : table.inputs;
    const dtype = options.dtype ?? (isTensor ? table.dtype : floatsOf(weight!));
    const out = options.out ?? stream.empty(dtype, [ids.size(0), width]);
    stream.run(native.ops.embedding, ids, isTensor ? table : null, weight, out);
    return out;
  },
);

/** What rows of a weight become, if nothing else is asked for. */
const floatsOf = ({ format }: WeightSegment): FloatDType =>
  format.format === "dense" ? format.dtype : "f32";

function onlySegment(table: LinearWeight): WeightSegment {
  const { segments } = table;
  requireInputsInOrder("embedding: table", table);
  if (segments.length > 1)
    throw new ArgumentRangeError(`embedding: table: expected one segment, got ${segments.length}`);
  return segments[0]!;
}
