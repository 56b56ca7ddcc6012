/**
 * The KV pages and who holds them: reference counts and one free list in least-recently-used order, all in Int32Arrays.
 * A page is free (no content of value), cached (nobody holds it, the prefix cache can still hand it out) or used.
 * Free and cached pages share the list: free ones at its head, cached ones behind them, the most recent last.
 * Page 0 is the dummy page that padding reads; it is never handed out and serves as the sentinel of the list.
 * Not responsible for what a page contains (PrefixCache) or how many a request needs (KvPages).
 */
import { WarploopError } from "../errors.js";

/** `#next` of a page that is not in the free list. */
const unlinked = -1;

export class BlockPool {
  /** Pages in all, the dummy page included. */
  readonly numPages: number;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #references: Int32Array;
  readonly #cached: Uint8Array;
  readonly #onEvict: (page: number) => void;
  #available = 0;
  #idleCached = 0;

  /**
   * @param numPages pages in all, >= 2; page 0 is the dummy page
   * @param onEvict called when a cached page is handed out for new content
   */
  constructor(numPages: number, onEvict: (page: number) => void = () => {}) {
    this.numPages = numPages;
    this.#next = new Int32Array(numPages).fill(unlinked);
    this.#previous = new Int32Array(numPages).fill(unlinked);
    this.#references = new Int32Array(numPages);
    this.#cached = new Uint8Array(numPages);
    this.#onEvict = onEvict;
    this.#next[0] = 0;
    this.#previous[0] = 0;
    for (let page = 1; page < numPages; page++) this.#linkAfter(this.#previous[0], page);
  }

  /** Pages that `allocate` can hand out now: free and cached ones. */
  get available(): number {
    return this.#available;
  }

  /** Pages that nobody holds but the prefix cache can still hand out. */
  get cached(): number {
    return this.#idleCached;
  }

  /** Pages held by requests, a shared page counted once. */
  get used(): number {
    return this.numPages - 1 - this.#available;
  }

  references(page: number): number {
    return this.#references[page]!;
  }

  isCached(page: number): boolean {
    return this.#cached[page] === 1;
  }

  /**
   * Hands out the page that has been idle longest, with one reference. Free pages go before cached ones.
   * @throws WarploopError ERR_INTERNAL when no page is available
   */
  allocate(): number {
    const page = this.#next[0]!;
    if (page === 0) throw new WarploopError("ERR_INTERNAL", "block pool: no page is available");
    this.#unlink(page);
    this.#references[page] = 1;
    if (this.#cached[page] === 1) {
      this.#cached[page] = 0;
      this.#onEvict(page);
    }
    return page;
  }

  /** Adds a reference to a page that is held or cached; a cached one leaves the free list in O(1). */
  retain(page: number): void {
    if (this.#references[page] === 0) {
      if (this.#cached[page] !== 1) {
        throw new WarploopError("ERR_INTERNAL", `block pool: page ${page} is neither held nor cached`);
      }
      this.#unlink(page);
    }
    this.#references[page]! += 1;
  }

  /**
   * Drops one reference of each page, last page first: of one sequence the tail is then evicted before the head, which
   * is the part that other requests are likelier to share.
   * @throws WarploopError ERR_INTERNAL on a page that nobody holds (double free)
   */
  release(pages: readonly number[]): void {
    for (let i = pages.length - 1; i >= 0; i--) {
      const page = pages[i]!;
      if (!(this.#references[page]! > 0)) {
        throw new WarploopError("ERR_INTERNAL", `block pool: page ${page} is released but nobody holds it`);
      }
      this.#references[page]! -= 1;
      if (this.#references[page] === 0)
        this.#linkAfter(this.#cached[page] === 1 ? this.#previous[0]! : 0, page);
    }
  }

  /** Marks a held page as findable by the prefix cache, so that it outlives its holders until it is evicted. */
  markCached(page: number): void {
    if (!(this.#references[page]! > 0)) {
      throw new WarploopError("ERR_INTERNAL", `block pool: page ${page} cannot be cached, nobody holds it`);
    }
    this.#cached[page] = 1;
  }

  /** Undoes `markCached`: nobody finds the page any more. One that is idle becomes the next to be handed out. */
  unmarkCached(page: number): void {
    const isIdle = this.#references[page] === 0;
    if (isIdle) this.#unlink(page);
    this.#cached[page] = 0;
    if (isIdle) this.#linkAfter(0, page);
  }

  /**
   * Checks free + cached + used == total, the links of the free list, and that the reference counts are what the tables
   * say. O(pages + table entries).
   * @param tables the page lists of all running requests
   * @throws WarploopError ERR_INTEGRITY that lists everything wrong
   */
  checkIntegrity(tables: Iterable<readonly number[]>): void {
    const problems = [...this.#checkReferences(tables), ...this.#checkFreeList()];
    if (problems.length > 0) throw new WarploopError("ERR_INTEGRITY", `block pool: ${problems.join("; ")}`);
  }

  #checkReferences(tables: Iterable<readonly number[]>): string[] {
    const problems: string[] = [];
    const expected = new Int32Array(this.numPages);
    for (const table of tables) {
      for (const page of table) {
        if (page > 0 && page < this.numPages) expected[page]! += 1;
        else problems.push(`a table lists page ${page}, outside [1, ${this.numPages})`);
      }
    }
    for (let page = 0; page < this.numPages; page++) {
      if (this.#references[page] === expected[page]) continue;
      problems.push(
        `page ${page} has ${this.#references[page]} references, the tables say ${expected[page]}`,
      );
    }
    return problems;
  }

  #checkFreeList(): string[] {
    const problems: string[] = [];
    const seen = new Uint8Array(this.numPages);
    let free = 0;
    let cached = 0;
    for (let last = 0, page = this.#next[0]!; ; last = page, page = this.#next[page]!) {
      if (page === unlinked || seen[page] === 1)
        return [...problems, `the free list is broken after page ${last}`];
      if (this.#previous[page] !== last)
        problems.push(`the back link of page ${page} is ${this.#previous[page]}`);
      if (page === 0) break;
      seen[page] = 1;
      if (this.#references[page] !== 0) problems.push(`page ${page} is in the free list and held`);
      if (this.#cached[page] === 1) cached += 1;
      else free += 1;
    }
    let used = 0;
    for (let page = 1; page < this.numPages; page++) {
      if (this.#references[page]! > 0) used += 1;
      else if (seen[page] === 0)
        problems.push(`page ${page} is lost: nobody holds it and it is not in the free list`);
    }
    if (free + cached + used !== this.numPages - 1) {
      problems.push(`free ${free} + cached ${cached} + used ${used} != total ${this.numPages - 1}`);
    }
    if (free + cached !== this.#available)
      problems.push(`${this.#available} available, the list has ${free + cached}`);
    if (cached !== this.#idleCached) problems.push(`${this.#idleCached} cached, the list has ${cached}`);
    return problems;
  }

  #linkAfter(before: number, page: number): void {
    const after = this.#next[before]!;
    this.#next[before] = page;
    this.#previous[page] = before;
    this.#next[page] = after;
    this.#previous[after] = page;
    this.#available += 1;
    this.#idleCached += this.#cached[page]!;
  }

  #unlink(page: number): void {
    const before = this.#previous[page]!;
    const after = this.#next[page]!;
    this.#next[before] = after;
    this.#previous[after] = before;
    this.#next[page] = unlinked;
    this.#previous[page] = unlinked;
    this.#available -= 1;
    this.#idleCached -= this.#cached[page]!;
  }
}
