/**
 * A tensor: a shape over device memory. Views share memory and cost nothing native; only `Memory` owns anything.
 *
 * Lifetimes (docs/architecture.md): weights and state own their memory and end with `dispose()`; step temporaries live in
 * a stream's arena and end with its scope.
 */
import { checkSizes, describe, isInstance } from "../arguments.js";
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import { ArgumentRangeError, ArgumentTypeError, ClosedError } from "../errors.js";
import type { Device } from "./device.js";
import {
  byteLength,
  checkDType,
  type DType,
  dtypeNumber,
  type HostArray,
  hostArray,
  hostArrayType,
  toFloat32,
  viewOf,
} from "./dtype.js";
import { type Handle, native } from "./native.js";
import type { Stream } from "./stream.js";
import { streamHandle } from "./streamHandle.js";

/** Something that ends, and with it what was lent for as long. */
export interface Lifetime {
  readonly disposed: boolean;
}

/** One native allocation, or what is lent of one (`lend`). Use `device.allocate`. */
export class Memory {
  readonly device: Device;
  /** @internal */
  readonly handle: Handle;
  readonly bytes: number;
  /** Undefined for what is lent: it owns nothing. */
  readonly #onDispose: ((memory: Memory) => void) | undefined;
  readonly #lifetime: Lifetime | undefined;
  #disposed = false;

  private constructor(
    key: ConstructKey,
    device: Device,
    handle: Handle,
    bytes: number,
    onDispose?: (memory: Memory) => void,
    lifetime?: Lifetime,
  ) {
    requireKey(key, "Memory", "device.allocate(bytes)");
    this.device = device;
    this.handle = handle;
    this.bytes = bytes;
    this.#onDispose = onDispose;
    this.#lifetime = lifetime;
  }

  /** For `device.allocate()`. @internal */
  static create(device: Device, handle: Handle, bytes: number, onDispose: (memory: Memory) => void): Memory {
    return new Memory(constructKey, device, handle, bytes, onDispose);
  }

  /** The same memory, until `lifetime` ends. Its end, also by `dispose`, frees nothing. @internal */
  lend(lifetime: Lifetime): Memory {
    return new Memory(constructKey, this.device, this.handle, this.bytes, undefined, lifetime);
  }

  get disposed(): boolean {
    return this.#disposed || (this.#lifetime !== undefined && this.#lifetime.disposed);
  }

  /** Ends the allocation once every stream has passed this point. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    if (!this.#onDispose) return;
    this.#onDispose(this);
    native.release(this.handle);
  }
}

export class Tensor {
  readonly memory: Memory;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
  readonly byteOffset: number;

  /**
   * Without strides it is contiguous.
   * @throws ArgumentTypeError, ArgumentRangeError; that it lies inside its memory is checked by what uses it
   */
  private constructor(
    key: ConstructKey,
    memory: Memory,
    dtype: DType,
    shape: readonly number[],
    strides: readonly number[] | undefined,
    byteOffset = 0,
  ) {
    requireKey(key, "Tensor", "device.empty, stream.fromArray or Tensor.packed");
    if (!isInstance(memory, Memory))
      throw new ArgumentTypeError(`tensor: memory: expected a Memory, got ${describe(memory)}`);
    if (typeof byteOffset !== "number")
      throw new ArgumentTypeError(`tensor: byteOffset: expected a number, got ${describe(byteOffset)}`);
    this.memory = memory;
    this.dtype = checkDType("tensor", dtype);
    this.shape = checkSizes("shape", shape);
    this.strides = strides === undefined ? packedStrides(this.shape) : checkSizes("strides", strides);
    this.byteOffset = byteOffset;
  }

  /** A contiguous tensor over `memory`. */
  static packed(memory: Memory, dtype: DType, shape: readonly number[], byteOffset = 0): Tensor {
    return new Tensor(constructKey, memory, dtype, shape, undefined, byteOffset);
  }

  /** Any view of `memory`; strides in elements. @internal */
  static strided(
    memory: Memory,
    dtype: DType,
    shape: readonly number[],
    strides: readonly number[],
    byteOffset = 0,
  ): Tensor {
    return new Tensor(constructKey, memory, dtype, shape, strides, byteOffset);
  }

  /** True for tensors alone, and never runs code of `value`. @internal */
  static is(value: unknown): value is Tensor {
    return typeof value === "object" && value !== null && #requirePacked in value;
  }

  /** True for a tensor whose memory has not been disposed. @internal */
  static isOpen(value: unknown): value is Tensor {
    return Tensor.is(value) && !value.memory.disposed;
  }

  get device(): Device {
    return this.memory.device;
  }

  get rank(): number {
    return this.shape.length;
  }

  get numel(): number {
    return count(this.shape);
  }

  get isPacked(): boolean {
    const [packed, { shape }] = [packedStrides(this.shape), this];
    return this.numel === 0 || this.strides.every((s, axis) => shape[axis]! <= 1 || s === packed[axis]);
  }

  /** Size of an axis; negative axes count from the end. */
  size(axis: number): number {
    const size = Number.isInteger(axis) ? this.shape.at(axis) : undefined;
    if (size === undefined)
      throw new ArgumentRangeError(`tensor: axis ${describe(axis)} of a tensor of rank ${this.rank}`);
    return size;
  }

  /** The same elements in another shape (contiguous tensors only). One axis may be -1. */
  reshape(shape: readonly number[]): Tensor {
    const sizes = checkSizes("reshape: shape", shape, -1);
    const known = count(sizes.filter((size) => size !== -1));
    const full = sizes.map((size) => (size === -1 ? this.numel / known : size));
    if (!this.isPacked || count(full) !== this.numel || !full.every(Number.isInteger)) {
      throw new ArgumentRangeError(
        `reshape: shape: cannot view [${this.shape}] (strides [${this.strides}]) as [${sizes}]`,
      );
    }
    return Tensor.packed(this.memory, this.dtype, full, this.byteOffset);
  }

  /** Splits the last axis (contiguous) into several: [T, H * Dh] -> [T, H, Dh], also of a strided view. */
  splitLast(...sizes: readonly number[]): Tensor {
    checkSizes("splitLast", sizes);
    if (count(sizes) !== this.size(-1) || (this.strides.at(-1) !== 1 && this.size(-1) > 1)) {
      throw new ArgumentRangeError(
        `splitLast: cannot split the last axis of [${this.shape}] into [${sizes}]`,
      );
    }
    const shape = [...this.shape.slice(0, -1), ...sizes];
    return new Tensor(
      constructKey,
      this.memory,
      this.dtype,
      shape,
      [...this.strides.slice(0, -1), ...packedStrides(sizes)],
      this.byteOffset,
    );
  }

  /** Elements [start, end) of an axis, as a view. */
  slice(axis: number, start: number, end: number): Tensor {
    const size = this.size(axis);
    const at = axis < 0 ? axis + this.rank : axis;
    if (!(Number.isInteger(start) && Number.isInteger(end) && 0 <= start && start <= end && end <= size)) {
      const got = `${describe(start)} and ${describe(end)} of axis ${axis} of [${this.shape}]`;
      throw new ArgumentRangeError(`slice: start, end: expected 0 <= start <= end <= ${size}, got ${got}`);
    }
    const shape = this.shape.map((size, i) => (i === at ? end - start : size));
    const offset = this.byteOffset + byteLength(this.dtype, start * (this.strides[at] as number));
    return new Tensor(constructKey, this.memory, this.dtype, shape, this.strides, offset);
  }

  /**
   * Writes the whole (contiguous) tensor in stream order. The data is copied before the call returns.
   * f16 and bf16 are raw bits in a Uint16Array.
   *
   * @throws ArgumentTypeError for data of another class than that of the dtype; ArgumentRangeError for one of another length
   */
  write(stream: Stream, data: HostArray): void {
    const handle = streamHandle("write", stream, this.device);
    this.#requireOpen();
    this.#requirePacked("write");
    const view = viewOf(`write: data for ${this.dtype}`, data, hostArrayType(this.dtype));
    const bytes = byteLength(this.dtype, this.numel);
    if (view.byteLength !== bytes) {
      const expected = `[${this.shape}] ${this.dtype} takes ${bytes} bytes`;
      throw new ArgumentRangeError(`write: data: ${expected}, got ${view.byteLength}`);
    }
    // Shared memory has no address for the addon; the copy is one that `write` makes anyway.
    const own = view.buffer instanceof ArrayBuffer ? view : view.slice();
    native.write(handle, this.memory.handle, this.byteOffset, own);
  }

  /** Reads the (contiguous) tensor as it is when the stream reaches this point. @throws ExecutionError, ClosedError */
  async read(stream: Stream): Promise<HostArray> {
    streamHandle("read", stream, this.device);
    this.#requireOpen();
    this.#requirePacked("read");
    return hostArray(this.dtype, await stream.readBytes(this, byteLength(this.dtype, this.numel)));
  }

  /** `read`, converted to float32. */
  async readFloat32(stream: Stream): Promise<Float32Array> {
    return toFloat32(this.dtype, await this.read(stream));
  }

  /** Writes this tensor as op arguments (native/bind/arguments.h reads them); returns the next free index. @internal */
  encode(out: Float64Array, at: number): number {
    this.#requireOpen();
    const { shape, strides } = this;
    const rank = shape.length;
    out[at] = this.memory.handle;
    out[at + 1] = this.byteOffset;
    out[at + 2] = dtypeNumber(this.dtype);
    out[at + 3] = rank;
    for (let i = 0; i < rank; i++) {
      out[at + 4 + i] = shape[i] as number;
      out[at + 4 + rank + i] = strides[i] as number;
    }
    return at + 4 + 2 * rank;
  }

  /** Ends the memory behind this tensor (and behind all views of it); a tensor of a scope ends by itself, when that closes. */
  dispose(): void {
    this.memory.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What console.log shows: never the elements. */
  toString(): string {
    return `Tensor [${this.shape.join(", ")}] ${this.dtype} on ${this.device.name}`;
  }

  /** Memory that a scope has given back belongs to others. */
  #requireOpen(): void {
    if (this.memory.disposed) throw new ClosedError("tensor");
  }

  #requirePacked(what: string): void {
    if (!this.isPacked) throw new ArgumentTypeError(`${what}: the tensor must be contiguous; copy it first`);
  }
}
printsAsText(Tensor);

export function packedStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i] as number;
  }
  return strides;
}

function count(shape: readonly number[]): number {
  let product = 1;
  for (const size of shape) product *= size;
  return product;
}
