/**
 * The arena behind a stream's step temporaries: bump allocation in chunks whose addresses stay put, so that a captured
 * graph can be replayed. Closing a scope rewinds the arena; since commands run in order, memory that a later command
 * reuses is no longer needed by an earlier one.
 */
import { type ConstructKey, constructKey, requireKey } from "../construct.js";
import { ArgumentTypeError } from "../errors.js";
import { bytesOf, type Device } from "./device.js";
import type { DType } from "./dtype.js";
import { type Lifetime, type Memory, Tensor } from "./tensor.js";

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
  /** The open scopes, the innermost last. */
  readonly #open: Scope[] = [];

  constructor(device: Device) {
    this.#device = device;
  }

  get isOpen(): boolean {
    return this.#open.length > 0;
  }

  /** Bytes reserved by the arena. */
  get reservedBytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  }

  open(): Scope {
    const scope = Scope.create(this, { chunk: this.#chunk, offset: this.#offset });
    this.#open.push(scope);
    return scope;
  }

  close(scope: Scope, mark: Mark): void {
    if (scope !== this.#open.at(-1)) throw new ArgumentTypeError("scope: an inner scope is still open");
    this.#open.pop();
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
    const lent = chunk.lend(this.#open.at(-1)!);
    const tensor = Tensor.packed(lent, dtype, shape, this.#offset);
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

/**
 * An open region of the arena. Close it (or use `using`) when its tensors are no longer needed by later commands: they are closed
 * with it.
 */
export class Scope implements Lifetime {
  readonly #arena: Arena;
  readonly #mark: Mark;
  #closed = false;

  private constructor(key: ConstructKey, arena: Arena, mark: Mark) {
    requireKey(key, "Scope", "stream.scope()");
    this.#arena = arena;
    this.#mark = mark;
  }

  /** For `stream.scope()`. @internal */
  static create(arena: Arena, mark: Mark): Scope {
    return new Scope(constructKey, arena, mark);
  }

  get disposed(): boolean {
    return this.#closed;
  }

  /** @throws ArgumentTypeError while a scope that was opened later is open */
  close(): void {
    if (this.#closed) return;
    this.#arena.close(this, this.#mark);
    this.#closed = true;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
