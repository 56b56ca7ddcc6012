/**
 * The arena behind a stream's step temporaries: bump allocation in chunks whose addresses stay put, so that a captured
 * graph can be replayed. Closing a scope rewinds the arena; since commands run in order, memory that a later command
 * reuses is no longer needed by an earlier one.
 */
import { type ConstructKey, constructKey, requireKey } from "../construct.js";
import { ArgumentTypeError } from "../errors.js";
import { bytesOf, type Device } from "./device.js";
import type { DType } from "./dtype.js";
import { type Memory, Tensor } from "./tensor.js";

const alignment = 256; // bytes; a CUDA transaction, four CPU cache lines
const smallestChunk = 4 << 20; // bytes

/** Where the arena stood when a scope was opened. */
interface Mark {
  readonly chunk: number;
  readonly offset: number;
}

export class Arena {
  readonly #device: Device;
  readonly #chunks: Memory[] = [];
  #chunk = 0;
  #offset = 0;
  #depth = 0;

  constructor(device: Device) {
    this.#device = device;
  }

  get isOpen(): boolean {
    return this.#depth > 0;
  }

  /** Bytes reserved by the arena. */
  get reservedBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  }

  open(): Scope {
    this.#depth++;
    return Scope.create(this, { chunk: this.#chunk, offset: this.#offset }, this.#depth);
  }

  close(mark: Mark, depth: number): void {
    if (depth !== this.#depth) throw new ArgumentTypeError("scope: an inner scope is still open");
    this.#depth--;
    this.#chunk = mark.chunk;
    this.#offset = mark.offset;
  }

  empty(dtype: DType, shape: readonly number[]): Tensor {
    const bytes = Math.max(1, Math.ceil(bytesOf(dtype, shape) / alignment)) * alignment;
    let chunk = this.#chunks[this.#chunk];
    while (!chunk || this.#offset + bytes > chunk.bytes) {
      if (chunk) this.#chunk++;
      this.#offset = 0;
      chunk = this.#chunks[this.#chunk] ?? this.#grow(bytes);
    }
    const tensor = Tensor.packed(chunk, dtype, shape, this.#offset);
    this.#offset += bytes;
    return tensor;
  }

  dispose(): void {
    for (const chunk of this.#chunks) chunk.dispose();
    this.#chunks.length = 0;
  }

  #grow(bytes: number): Memory {
    const doubled = Math.max(smallestChunk, this.reservedBytes, bytes);
    const memory = this.#device.allocate(doubled);
    this.#chunks.push(memory);
    return memory;
  }
}

/** An open region of the arena. Close it (or use `using`) when its tensors are no longer needed by later commands. */
export class Scope {
  readonly #arena: Arena;
  readonly #mark: Mark;
  readonly #depth: number;
  #closed = false;

  private constructor(key: ConstructKey, arena: Arena, mark: Mark, depth: number) {
    requireKey(key, "Scope", "stream.scope()");
    this.#arena = arena;
    this.#mark = mark;
    this.#depth = depth;
  }

  /** For `stream.scope()`. @internal */
  static create(arena: Arena, mark: Mark, depth: number): Scope {
    return new Scope(constructKey, arena, mark, depth);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#arena.close(this.#mark, this.#depth);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
