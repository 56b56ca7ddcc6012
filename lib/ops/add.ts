import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { number, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface AddOptions {
  /** Factor on b, a finite number. Default 1. */
  readonly scale?: number | undefined;
  /** Where to write the result (shape and dtype of a); may be a or b itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Elementwise sum.
 *
 *     out = a + scale * b
 *
 * @param a any shape, f32 | bf16 | f16; the last axis is contiguous
 * @param b shape of a, f32 | bf16 | f16; the last axis is contiguous
 * @returns shape and dtype of a
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/add
 */
export const add = op(
  "add",
  { a: tensor, b: tensor },
  optionsOf<AddOptions>({ scale: number, out: tensor }),
  (stream: Stream, a: Tensor, b: Tensor, options: AddOptions = {}): Tensor => {
    const { scale = 1 } = options;
    const out = options.out ?? stream.empty(a.dtype, a.shape);
    stream.run(native.ops.add, a, b, out, scale);
    return out;
  },
);
