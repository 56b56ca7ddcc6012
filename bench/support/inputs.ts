/** Tensors to feed to a bench, and their sizes. */
import { byteLength, type DType, type FloatDType } from "../../lib/dtype.js";
import { cast } from "../../lib/ops/cast.js";
import type { Stream } from "../../lib/stream.js";
import type { Tensor } from "../../lib/tensor.js";

/** A tensor of values between -1 and 1: no denormals, no NaN, the same in every run. */
export function filled(stream: Stream, dtype: FloatDType, shape: readonly number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = new Float32Array(count);
  let word = 1;
  for (let i = 0; i < count; i++) {
    word = (Math.imul(word, 1664525) + 1013904223) | 0; // Knuth's linear congruential generator
    values[i] = word / 2 ** 31;
  }
  const tensor = stream.fromArray("f32", shape, values);
  return dtype === "f32" ? tensor : cast(stream, tensor, dtype);
}

/** i32 values 0, step, 2 step, ... modulo `limit`: ids, rows or columns that are spread over a table. */
export function spread(stream: Stream, count: number, limit: number, step = 1): Tensor {
  return stream.fromArray(
    "i32",
    [count],
    Int32Array.from({ length: count }, (_, i) => (i * step) % limit),
  );
}

/** Bytes of a packed tensor. */
export function bytesOf(dtype: DType, ...shape: readonly number[]): number {
  const count = shape.reduce((product, size) => product * size, 1);
  return byteLength(dtype, count);
}
