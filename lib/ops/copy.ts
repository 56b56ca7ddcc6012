import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tensor } from "./argumentKinds.js";
import { op } from "./op.js";

/**
 * Copies between tensors of one dtype and shape; either may be a view with strided rows.
 *
 * @param src any shape, any dtype except i4; the last axis is contiguous
 * @param dst shape and dtype of src; the last axis is contiguous; must not overlap src
 * @returns dst
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/copy
 */
export const copy = op(
  "copy",
  { src: tensor, dst: tensor },
  undefined,
  (stream: Stream, src: Tensor, dst: Tensor): Tensor => {
    stream.run(native.ops.copy, src, dst);
    return dst;
  },
);
