/**
 * Element types of tensors. The order is shared with native/core/dtype.h; the numbers cross the boundary.
 */

import { describe } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";

export const dtypes = ["f32", "f16", "bf16", "fp8e4m3", "i8", "i32", "u8", "i4"] as const;
export type DType = (typeof dtypes)[number];

/** Dtypes that activations and weights may have. */
export type FloatDType = "f32" | "f16" | "bf16";

/** Dtypes that keys and values may be kept in: as they are, or as codes of 8 bits with factors for each token. */
export type KvDType = FloatDType | "i8" | "fp8e4m3";

/** What `Tensor.read` returns: f16 and bf16 come as raw bits in a Uint16Array. */
export type HostArray<D extends DType = DType> = {
  f32: Float32Array;
  f16: Uint16Array;
  bf16: Uint16Array;
  fp8e4m3: Uint8Array;
  i8: Int8Array;
  i32: Int32Array;
  u8: Uint8Array;
  i4: Uint8Array;
}[D];

const bits: Record<DType, number> = { f32: 32, f16: 16, bf16: 16, fp8e4m3: 8, i8: 8, i32: 32, u8: 8, i4: 4 };
// An object, not a Map: op calls look dtypes up, and V8 caches the property.
const numbers = Object.fromEntries(dtypes.map((name, index) => [name, index])) as Record<DType, number>;

/** @throws ArgumentTypeError, ArgumentRangeError for a name that is no dtype */
export function checkDType(what: string, dtype: unknown): DType {
  if (typeof dtype === "string" && (dtypes as readonly string[]).includes(dtype)) return dtype as DType;
  const message = `${what}: dtype: expected one of ${dtypes.join(", ")}, got ${describe(dtype)}`;
  throw typeof dtype === "string" ? new ArgumentRangeError(message) : new ArgumentTypeError(message);
}

/** The number of a dtype on the native side. */
export function dtypeNumber(dtype: DType): number {
  return numbers[dtype];
}

/** Bytes of `count` packed elements. */
export function byteLength(dtype: DType, count: number): number {
  return Math.ceil((count * bits[dtype]) / 8);
}

const hostTypes = {
  f32: Float32Array,
  f16: Uint16Array,
  bf16: Uint16Array,
  fp8e4m3: Uint8Array,
  i8: Int8Array,
  i32: Int32Array,
  u8: Uint8Array,
  i4: Uint8Array,
} as const;

/** The class of host arrays that hold elements of `dtype`. */
export function hostArrayType(dtype: DType): (typeof hostTypes)[DType] {
  return hostTypes[dtype];
}

/** A host array over `buffer` with the element type of `dtype`. */
export function hostArray(dtype: DType, buffer: ArrayBuffer): HostArray {
  return new hostTypes[dtype](buffer);
}

type HostArrayType = new (buffer: ArrayBuffer, byteOffset: number, length: number) => HostArray;

const typedArray = Object.getPrototypeOf(Float32Array.prototype) as object;
const getter = (name: string | symbol) =>
  Object.getOwnPropertyDescriptor(typedArray, name)!.get as (this: unknown) => never;
const intrinsic = {
  className: getter(Symbol.toStringTag),
  buffer: getter("buffer"),
  byteOffset: getter("byteOffset"),
  length: getter("length"),
};

/**
 * A view of the elements that the caller's array really has: what a subclass, an own property or an object that only looks like
 * an array says of itself does not count, and none of its code runs.
 *
 * @throws ArgumentTypeError for what is no array of that class
 */
export function viewOf(what: string, data: unknown, Type: HostArrayType): HostArray {
  const className: unknown = intrinsic.className.call(data); // undefined for everything else, and never throws
  if (className !== Type.name)
    throw new ArgumentTypeError(`${what}: expected a ${Type.name}, got ${describe(data)}`);
  const length: number = intrinsic.length.call(data);
  // A detached buffer has no elements, and cannot be looked at.
  if (length === 0) return new Type(new ArrayBuffer(0), 0, 0);
  return new Type(intrinsic.buffer.call(data), intrinsic.byteOffset.call(data), length);
}

/**
 * Converts what `Tensor.read` returned for a float dtype to float32.
 * @throws ArgumentTypeError, ArgumentRangeError
 */
export function toFloat32(dtype: DType, data: HostArray): Float32Array {
  const values = viewOf("toFloat32: data", data, hostArrayType(checkDType("toFloat32", dtype)));
  if (dtype === "f32") return data as Float32Array;
  const out = new Float32Array(values.length);
  if (dtype === "bf16") {
    const words = new Uint32Array(out.buffer);
    for (let i = 0; i < out.length; i++) words[i] = (values[i] as number) << 16;
  } else if (dtype === "f16") {
    for (let i = 0; i < out.length; i++) out[i] = halfToNumber(values[i] as number);
  } else {
    for (let i = 0; i < out.length; i++) out[i] = values[i] as number;
  }
  return out;
}

/** Rounds float32 values to bf16 bits, to nearest even. @throws ArgumentTypeError */
export function toBfloat16(data: Float32Array): Uint16Array {
  const { buffer, byteOffset, length } = viewOf("toBfloat16: data", data, Float32Array);
  const words = new Uint32Array(buffer, byteOffset, length);
  const out = new Uint16Array(length);
  for (let i = 0; i < length; i++) {
    const word = words[i] as number;
    const isNaN = (word & 0x7fffffff) > 0x7f800000;
    out[i] = isNaN ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

function halfToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
