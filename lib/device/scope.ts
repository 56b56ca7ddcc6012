/**
 * The arena behind a stream's step temporaries: bump allocation in chunks whose addresses stay put, so that a captured
 * graph can be replayed. Closing a scope rewinds the arena; since commands run in order, memory that a later command
 * reuses is no longer needed by an earlier one.
 *
 * Builds that see accesses behind memory (docs/simt.md) give every tensor a chunk of exactly its size; a closed scope's
 * chunks serve later tensors of that size.
 */
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import { ArgumentTypeError } from "../errors.js";
import { bytesOf, type Device } from "./device.js";
import type { DType } from "./dtype.js";
import { native } from "./native.js";
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
  /** By size; undefined: tensors share chunks. */
  readonly #spare: Map<number, Memory[]> | undefined = native.separateTensors ? new Map() : undefined;
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
    return this.#all().reduce((sum, chunk) => sum + chunk.bytes, 0);
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
    if (!this.#spare) return;
    for (const chunk of this.#chunks.splice(mark.chunk)) {
      const alike = this.#spare.get(chunk.bytes);
      if (alike) alike.push(chunk);
      else this.#spare.set(chunk.bytes, [chunk]);
    }
  }

  empty(dtype: DType, shape: readonly number[]): Tensor {
    if (this.#spare) {
      const memory = this.#separate(this.#spare, bytesOf(dtype, shape));
      return Tensor.packed(memory.lend(this.#open.at(-1)!), dtype, shape);
    }
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
    for (const chunk of this.#all()) chunk.dispose();
    this.#chunks.length = 0;
    this.#spare?.clear();
  }

  #all(): Memory[] {
    return [...this.#chunks, ...[...(this.#spare?.values() ?? [])].flat()];
  }

  #separate(spare: Map<number, Memory[]>, bytes: number): Memory {
    const memory = spare.get(bytes)?.pop() ?? this.#device.allocate(bytes);
    this.#chunk = this.#chunks.push(memory);
    return memory;
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

  /** What console.log shows. */
  toString(): string {
    return `Scope, ${this.#closed ? "closed" : "open"}`;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
printsAsText(Scope);
