/**
 * The blocks of the KV cache and who holds them: reference counts and one free list in least-recently-used order, all in
 * Int32Arrays. All cache groups take their blocks from here, so that no split of memory between them can be wrong.
 * A block is free (no content of value), cached (nobody holds it, the prefix cache can still hand it out) or used.
 * Free and cached blocks share the list: free ones at its head, cached ones behind them, the most recent last.
 * Block 0 is the dummy block that padding reads; it is never handed out and serves as the sentinel of the list.
 * Not responsible for what a block contains (PrefixCache) or how many a request needs (KvPages).
 */
import { WarploopError } from "../errors.js";

/** `#next` of a block that is not in the free list. */
const unlinked = -1;

export class BlockPool {
  /** Blocks in all, the dummy block included. */
  readonly numBlocks: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #references: Int32Array;
  readonly #cached: Uint8Array;
  readonly #onEvict: (block: number) => void;
  #available = 0;
  #idleCached = 0;

  /**
   * @param numBlocks blocks in all, >= 2; block 0 is the dummy block
   * @param onEvict called when a cached block is handed out for new content
   */
  constructor(numBlocks: number, onEvict: (block: number) => void = () => {}) {
    this.numBlocks = numBlocks;
    this.#next = new Int32Array(numBlocks).fill(unlinked);
    this.#previous = new Int32Array(numBlocks).fill(unlinked);
    this.#references = new Int32Array(numBlocks);
    this.#cached = new Uint8Array(numBlocks);
    this.#onEvict = onEvict;
    this.#next[0] = 0;
    this.#previous[0] = 0;
    for (let block = 1; block < numBlocks; block++) this.#linkAfter(this.#previous[0], block);
  }

  /** Blocks that `allocate` can hand out now: free and cached ones. */
  get available(): number {
    return this.#available;
  }

  /** Blocks that nobody holds but the prefix cache can still hand out. */
  get cached(): number {
    return this.#idleCached;
  }

  /** Blocks held by requests, a shared block counted once. */
  get used(): number {
    return this.numBlocks - 1 - this.#available;
  }

  references(block: number): number {
    return this.#references[block]!;
  }

  isCached(block: number): boolean {
    return this.#cached[block] === 1;
  }

  /**
   * Hands out the block that has been idle longest, with one reference. Free blocks go before cached ones.
   * @throws WarploopError ERR_INTERNAL when no block is available
   */
  allocate(): number {
    const block = this.#next[0]!;
    if (block === 0) throw new WarploopError("ERR_INTERNAL", "block pool: no block is available");
    this.#unlink(block);
    this.#references[block] = 1;
    if (this.#cached[block] === 1) {
      this.#cached[block] = 0;
      this.#onEvict(block);
    }
    return block;
  }

  /** Adds a reference to a block that is held or cached; a cached one leaves the free list in O(1). */
  retain(block: number): void {
    if (this.#references[block] === 0) {
      if (this.#cached[block] !== 1) {
        throw new WarploopError("ERR_INTERNAL", `block pool: block ${block} is neither held nor cached`);
      }
      this.#unlink(block);
    }
    this.#references[block]! += 1;
  }

  /**
   * Drops one reference of each block, last block first: of one sequence the tail is then evicted before the head, which
   * is the part that other requests are likelier to share.
   * @throws WarploopError ERR_INTERNAL on a block that nobody holds (double free)
   */
  release(blocks: readonly number[]): void {
    for (let i = blocks.length - 1; i >= 0; i--) {
      const block = blocks[i]!;
      if (!(this.#references[block]! > 0)) {
        throw new WarploopError("ERR_INTERNAL", `block pool: block ${block} is released but nobody holds it`);
      }
      this.#references[block]! -= 1;
      if (this.#references[block] === 0)
        this.#linkAfter(this.#cached[block] === 1 ? this.#previous[0]! : 0, block);
    }
  }

  /** Marks a held block as findable by the prefix cache, so that it outlives its holders until it is evicted. */
  markCached(block: number): void {
    if (!(this.#references[block]! > 0)) {
      throw new WarploopError("ERR_INTERNAL", `block pool: block ${block} cannot be cached, nobody holds it`);
    }
    this.#cached[block] = 1;
  }

  /** Undoes `markCached`: nobody finds the block any more. One that is idle becomes the next to be handed out. */
  unmarkCached(block: number): void {
    const isIdle = this.#references[block] === 0;
    if (isIdle) this.#unlink(block);
    this.#cached[block] = 0;
    if (isIdle) this.#linkAfter(0, block);
  }

  /**
   * Checks free + cached + used == total, the links of the free list, and that the reference counts are what the tables
   * say. O(blocks + table entries).
   * @param tables the block lists of all running requests
   * @throws WarploopError ERR_INTEGRITY that lists everything wrong
   */
  checkIntegrity(tables: Iterable<readonly number[]>): void {
    const problems = [...this.#checkReferences(tables), ...this.#checkFreeList()];
    if (problems.length > 0) throw new WarploopError("ERR_INTEGRITY", `block pool: ${problems.join("; ")}`);
  }

  #checkReferences(tables: Iterable<readonly number[]>): string[] {
    const problems: string[] = [];
    const expected = new Int32Array(this.numBlocks);
    for (const table of tables) {
      for (const block of table) {
        if (block > 0 && block < this.numBlocks) expected[block]! += 1;
        else problems.push(`a table lists block ${block}, outside [1, ${this.numBlocks})`);
      }
    }
    for (let block = 0; block < this.numBlocks; block++) {
      if (this.#references[block] === expected[block]) continue;
      problems.push(
        `block ${block} has ${this.#references[block]} references, the tables say ${expected[block]}`,
      );
    }
    return problems;
  }

  #checkFreeList(): string[] {
    const problems: string[] = [];
    const seen = new Uint8Array(this.numBlocks);
    let free = 0;
    let cached = 0;
    for (let last = 0, block = this.#next[0]!; ; last = block, block = this.#next[block]!) {
      if (block === unlinked || seen[block] === 1)
        return [...problems, `the free list is broken after block ${last}`];
      if (this.#previous[block] !== last)
        problems.push(`the back link of block ${block} is ${this.#previous[block]}`);
      if (block === 0) break;
      seen[block] = 1;
      if (this.#references[block] !== 0) problems.push(`block ${block} is in the free list and held`);
      if (this.#cached[block] === 1) cached += 1;
      else free += 1;
    }
    let used = 0;
    for (let block = 1; block < this.numBlocks; block++) {
      if (this.#references[block]! > 0) used += 1;
      else if (seen[block] === 0)
        problems.push(`block ${block} is lost: nobody holds it and it is not in the free list`);
    }
    if (free + cached + used !== this.numBlocks - 1) {
      problems.push(`free ${free} + cached ${cached} + used ${used} != total ${this.numBlocks - 1}`);
    }
    if (free + cached !== this.#available)
      problems.push(`${this.#available} available, the list has ${free + cached}`);
    if (cached !== this.#idleCached) problems.push(`${this.#idleCached} cached, the list has ${cached}`);
    return problems;
  }

  #linkAfter(before: number, block: number): void {
    const after = this.#next[before]!;
    this.#next[before] = block;
    this.#previous[block] = before;
    this.#next[block] = after;
    this.#previous[after] = block;
    this.#available += 1;
    this.#idleCached += this.#cached[block]!;
  }

  #unlink(block: number): void {
    const before = this.#previous[block]!;
    const after = this.#next[block]!;
    this.#next[before] = after;
    this.#previous[after] = before;
    this.#next[block] = unlinked;
    this.#previous[block] = unlinked;
    this.#available -= 1;
    this.#idleCached -= this.#cached[block]!;
  }
}
