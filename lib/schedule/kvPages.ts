/**
 * The pages of the running requests: how many a request needs, which it gets, when they are shared, and whether a new
 * request may come in. Composes BlockPool (who holds a page) and PrefixCache (what a page holds).
 * Not responsible for rows, queues and budgets (Scheduler), nor for choosing whom to preempt.
 *
 * Pages released here may be handed out at once, even while steps that read or write them are still in flight: the device
 * runs steps in order, so the old use is over before the new one starts.
 */
import { WarploopError } from "../errors.js";
import type { Steps } from "../eventLoop.js";
import { BlockPool } from "./blockPool.js";
import { PrefixCache, type PrefixCacheStats } from "./prefixCache.js";
import type { Request } from "./request.js";
import type { SchedulerOptions } from "./schedulerOptions.js";

export interface KvStats {
  readonly freePages: number;
  readonly cachedPages: number;
  readonly usedPages: number;
  readonly prefix: PrefixCacheStats;
}

export class KvPages {
  readonly #pageSize: number;
  readonly #reserves: boolean;
  readonly #pool: BlockPool;
  readonly #cache: PrefixCache | undefined;
  /** "reserve" only: pages that running requests have not taken yet but will find available when they do. */
  #promised = 0;

  constructor(options: Pick<SchedulerOptions, "pageSize" | "numPages" | "admission" | "prefixCache">) {
    this.#pageSize = options.pageSize;
    this.#reserves = options.admission === "reserve";
    this.#pool = new BlockPool(options.numPages, (page) => this.#cache?.evict(page));
    this.#cache = options.prefixCache ? new PrefixCache(this.#pool, options.pageSize) : undefined;
  }

  /** Pages that one request alone can have. */
  get capacity(): number {
    return this.#pool.numPages - 1;
  }

  get stats(): KvStats {
    const { available, cached, used } = this.#pool;
    const prefix = this.#cache?.stats ?? { queries: 0, hits: 0, evictions: 0 };
    return { freePages: available - cached, cachedPages: cached, usedPages: used, prefix };
  }

  /** Pages that the request holds at its longest. The last token it may sample is never run and needs no slot. */
  lifetimePages(request: Request): number {
    return this.#pagesFor(request.maxLength - 1);
  }

  /**
   * Gives a waiting request pages for all its known tokens, the cached prefix first, and sets cachedLen and deviceLen.
   * Holding them all from the start means that a prefill never runs out half way.
   * @param running requests that run already; "optimistic" leaves room for one more page of each, lest this admission
   *   cause a preemption at once
   * @returns false, with nothing changed, when the pages do not suffice now
   */
  admit(request: Request, running: number): boolean {
    const numPages = this.#pagesFor(request.tokens.length);
    const hits = this.#cache?.match(request) ?? [];
    const idleHits = hits.reduce((count, page) => count + (this.#pool.references(page) === 0 ? 1 : 0), 0);
    const later = this.#reserves ? this.lifetimePages(request) - numPages : 0;
    const spare = this.#reserves ? this.#promised + later : running;
    if (numPages - hits.length + idleHits + spare > this.#pool.available) return false;

    // Hits are retained before anything is allocated: allocation evicts cached pages.
    for (const page of hits) this.#pool.retain(page);
    const cachedLen = hits.length * this.#pageSize;
    const pages = hits;
    while (pages.length < numPages) pages.push(this.#pool.allocate());
    this.#cache?.recordLookup(request, cachedLen);
    this.#promised += later;
    request.pages = pages;
    request.sealedPages = cachedLen / this.#pageSize;
    request.cachedLen = cachedLen;
    request.deviceLen = request.tokens.length;
    request.hitLen ??= cachedLen;
    request.foundLen = cachedLen;
    return true;
  }

  /** Prepares the lookup of a request that is not added yet; `admit` does what is left. */
  *hashPrompt(request: Request): Steps<void> {
    if (this.#cache !== undefined) yield* this.#cache.hashPrompt(request);
  }

  /** True when the next token of the request has no page yet. */
  needsPage(request: Request): boolean {
    return request.cachedLen === request.pages.length * this.#pageSize;
  }

  /**
   * Appends one page to the request.
   * @returns the page, or undefined when none is available
   */
  grow(request: Request): number | undefined {
    if (this.#pool.available === 0) return undefined;
    const page = this.#pool.allocate();
    request.pages.push(page);
    if (this.#reserves) this.#promised -= 1;
    return page;
  }

  /** Takes all pages from a request that ends or is preempted; its known tokens stay. */
  release(request: Request): void {
    if (this.#reserves) this.#promised -= this.lifetimePages(request) - request.pages.length;
    this.#pool.release(request.pages);
    request.pages = [];
    request.sealedPages = 0;
    request.cachedLen = 0;
    request.deviceLen = 0;
  }

  /** Registers the pages that have become full: all ids known, all KV enqueued. */
  seal(request: Request): void {
    if (this.#cache === undefined) return;
    const full = Math.floor(Math.min(request.cachedLen, request.tokens.length) / this.#pageSize);
    while (request.sealedPages < full) this.#cache.register(request, request.sealedPages++);
  }

  /** No later request finds the pages of this one, whose content is in doubt. */
  unregister(request: Request): void {
    this.#cache?.unregister(request);
  }

  /** Forgets all cached content. Only while no request holds pages. */
  forget(): void {
    const pages: number[] = [];
    while (this.#pool.available > 0) pages.push(this.#pool.allocate());
    this.#pool.release(pages);
  }

  /** Tokens to run again if the request were preempted; pages that others hold would be found again. */
  recomputeTokens(request: Request): number {
    if (request.remaining === 0) return 0;
    const shared = request.pages.reduce(
      (count, page) => count + (this.#pool.references(page) > 1 ? 1 : 0),
      0,
    );
    return Math.max(0, request.cachedLen - shared * this.#pageSize);
  }

  /**
   * @param running all requests that hold pages
   * @throws WarploopError ERR_INTEGRITY that lists what is wrong
   */
  checkIntegrity(running: readonly Request[]): void {
    this.#pool.checkIntegrity(running.map((request) => request.pages));
    const problems = this.#cache?.findProblems() ?? [];
    const owed = running.reduce(
      (sum, request) => sum + this.lifetimePages(request) - request.pages.length,
      0,
    );
    if (this.#reserves && this.#promised !== owed) {
      problems.push(`${this.#promised} pages are promised, the requests need ${owed}`);
    }
    if (this.#promised > this.#pool.available) {
      problems.push(`${this.#promised} pages are promised, ${this.#pool.available} are available`);
    }
    if (problems.length > 0) throw new WarploopError("ERR_INTEGRITY", `kv pages: ${problems.join("; ")}`);
  }

  #pagesFor(tokens: number): number {
    return Math.ceil(tokens / this.#pageSize);
  }
}
