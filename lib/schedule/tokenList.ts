/**
 * Lists that only grow, outside of V8's heap: of a burst of prompts every collection of garbage would move all of them. The
 * ids of a request, and the hashes of its pages.
 */

/** Token ids. */
export class TokenList implements Iterable<number> {
  #ids: Int32Array;
  #length: number;

  /** @param ids shared until the list grows, and therefore not to be changed */
  constructor(ids: Int32Array) {
    this.#ids = ids;
    this.#length = ids.length;
  }

  get length(): number {
    return this.#length;
  }

  at(index: number): number | undefined {
    return index < this.#length ? this.#ids[index] : undefined;
  }

  /** @returns the new length */
  push(id: number): number {
    if (this.#length === this.#ids.length) {
      const longer = new Int32Array(grown(this.#length));
      longer.set(this.#ids);
      this.#ids = longer;
    }
    this.#ids[this.#length++] = id;
    return this.#length;
  }

  /** The ids [start, end) without a copy; they do not change. */
  view(start = 0, end = this.#length): Int32Array {
    return this.#ids.subarray(start, Math.min(end, this.#length));
  }

  [Symbol.iterator](): ArrayIterator<number> {
    return this.view().values();
  }
}

/** Bytes of a SHA-256 digest. */
const hashBytes = 32;

/** Digests, as strings with a character for each byte, which a Map can use as a key. */
export class HashList {
  #bytes: Buffer;
  #length: number;

  /** @param start what the list begins with; later ones are each list's own */
  constructor(start?: HashList) {
    this.#bytes = start === undefined ? Buffer.alloc(0) : start.#bytes.subarray(0, start.#length * hashBytes);
    this.#length = start === undefined ? 0 : start.#length;
  }

  get length(): number {
    return this.#length;
  }

  at(index: number): string {
    return this.#bytes.toString("latin1", index * hashBytes, (index + 1) * hashBytes);
  }

  /** @param hash at most 32 characters, each below 256 */
  push(hash: string): void {
    const end = this.#length * hashBytes;
    if (end === this.#bytes.length) {
      const longer = Buffer.alloc(grown(this.#length) * hashBytes);
      longer.set(this.#bytes);
      this.#bytes = longer;
    }
    this.#bytes.write(hash, end, hashBytes, "latin1");
    this.#length++;
  }
}

function grown(length: number): number {
  return Math.max(16, Math.ceil(length * 1.5));
}
