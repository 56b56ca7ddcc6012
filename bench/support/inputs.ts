/** Tensors to feed to a bench, and their sizes. */
import { byteLength, type DType, type FloatDType, type KvDType } from "../../lib/device/dtype.js";
import { cast } from "../../lib/ops/cast.js";
import { copy } from "../../lib/ops/copy.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";

const mostOnHost = 1 << 22; // values that JavaScript makes; larger tensors repeat them

/** A tensor of values between -1 and 1: no denormals, no NaN, the same in every run. */
export function filled(stream: Stream, dtype: FloatDType, shape: readonly number[]): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const values = new Float32Array(Math.min(count, mostOnHost));
  let word = 1;
  for (let i = 0; i < values.length; i++) {
    word = (Math.imul(word, 1664525) + 1013904223) | 0; // Knuth's linear congruential generator
    values[i] = word / 2 ** 31;
  }
  const source = stream.fromArray("f32", [values.length], values);
  const chunk = dtype === "f32" ? source : cast(stream, source, dtype);
  if (count === values.length) return chunk.reshape(shape);
  const whole = stream.empty(dtype, [count]);
  for (let at = 0; at < count; at += mostOnHost) {
    const size = Math.min(mostOnHost, count - at);
    copy(stream, chunk.slice(0, 0, size), whole.slice(0, at, at + size));
  }
  return whole.reshape(shape);
}

/** Pages of keys or values: floats, or codes of 8 bits of all kinds (in e4m3 without NaN). */
export function filledPages(stream: Stream, dtype: KvDType, shape: readonly number[]): Tensor {
  if (dtype !== "i8" && dtype !== "fp8e4m3") return filled(stream, dtype, shape);
  const count = shape.reduce((product, size) => product * size, 1);
  const pattern = dtype === "i8" ? new Int8Array(count) : new Uint8Array(count);
  for (let i = 0; i < count; i++) pattern[i] = Math.imul(i, 40503) % 126;
  return stream.fromArray(dtype, shape, pattern);
}

/** i32 values 0, step, 2 step, ... modulo `limit`: ids, rows or columns that are spread over a table. */
export function spread(stream: Stream, count: number, limit: number, step = 1): Tensor {
  return stream.fromArray(
    "i32",
    [count],
    Int32Array.from({ length: count }, (_, i) => (i * step) % limit),
  );
}

/** A block mask, [T, Hkv, W]: of L keys each query sees every `every`th block of 64, each KV head others. */
export function everyBlock(stream: Stream, T: number, Hkv: number, L: number, every: number): Tensor {
  const W = Math.ceil(L / (32 * 64));
  const words = new Int32Array(T * Hkv * W);
  for (let block = 0; block < 32 * W; block++) {
    for (let row = 0; row < T * Hkv; row++) {
      if ((block + (row % Hkv)) % every === 0) words[row * W + (block >> 5)]! |= 1 << (block % 32);
    }
  }
  return stream.fromArray("i32", [T, Hkv, W], words);
}

/** Bytes of a packed tensor. */
export function bytesOf(dtype: DType, ...shape: readonly number[]): number {
  const count = shape.reduce((product, size) => product * size, 1);
  return byteLength(dtype, count);
}
