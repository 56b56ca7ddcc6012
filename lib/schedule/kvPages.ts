/**
 * The blocks of the running requests, over all cache groups and slots: how many a request needs, which it gets, when they are
 * shared, when a window lets go of them, and whether a new request may come in. Composes BlockPool (who holds a block) and
 * PrefixCache (what a block holds).
 * Not responsible for rows, queues and budgets (Scheduler), nor for choosing whom to preempt.
 *
 * Blocks released here may be handed out at once, even while steps that read or write them are still in flight: the device
 * runs steps in order, so the old use is over before the new one starts.
 */
import { WarploopError } from "../errors.js";
import type { Steps } from "../eventLoop.js";
import { BlockPool } from "./blockPool.js";
import { CacheGroup, type HeldBlocks, peakBlocks } from "./cacheGroup.js";
import { PrefixCache, type PrefixCacheStats, type PrefixHit } from "./prefixCache.js";
import { PrefixLoans } from "./prefixLoans.js";
import type { Request } from "./request.js";
import type { ResolvedSchedulerOptions } from "./schedulerOptions.js";

export interface KvStats {
  readonly freePages: number;
  readonly cachedPages: number;
  readonly usedPages: number;
  readonly prefix: PrefixCacheStats;
}

/** The contents of one block to another. */
export interface BlockCopy {
  readonly from: number;
  readonly to: number;
}

/** To be done in their order: slots that a request finds in the prefix cache, and those that are left there. */
export interface StepCopies {
  readonly beforeModel: readonly BlockCopy[];
  readonly afterModel: readonly BlockCopy[];
}

export class KvPages {
  readonly groups: readonly CacheGroup[];
  /** Undefined without a prefix cache. */
  readonly loans: PrefixLoans | undefined;
  readonly #slotLayers: number;
  readonly #reserves: boolean;
  readonly #pool: BlockPool;
  readonly #cache: PrefixCache | undefined;
  /**
   * "reserve" only: blocks that running requests have not taken yet but will find available when they do. A request that
   * keeps what it holds is owed its peak without that. Windows let go, and whether that frees a block depends on who else holds
   * it; so over all requests they are owed their peaks without the blocks that any of them holds.
   */
  #promised = 0;
  /** Of the step that is being planned: slots to restore, from blocks that are retained until then, and slots to keep. */
  #restores: BlockCopy[] = [];
  #snapshots: { readonly request: Request; readonly length: number }[] = [];

  constructor(options: Omit<ResolvedSchedulerOptions, "maxSequences" | "maxModelLen">) {
    const { pageSize, slotLayers } = options;
    const chunkTokens = Math.min(options.chunkTokens, options.maxStepTokens);
    this.groups = options.groups.map((group, index) => new CacheGroup(index, group, pageSize, chunkTokens));
    this.#slotLayers = slotLayers;
    this.#reserves = options.admission === "reserve";
    this.#pool = new BlockPool(options.numBlocks, (block) => this.#cache?.evict(block));
    const sizes = { pageSize, groups: this.groups, slotLayers };
    if (!options.prefixCache) return;
    const lent = { pool: this.#pool, cache: new PrefixCache(this.#pool, sizes) };
    this.#cache = lent.cache;
    const spare = (): number => this.#pool.available - this.#promised;
    this.loans = new PrefixLoans({ ...sizes, ...lent, spare });
  }

  /** Blocks that one request alone can have. */
  get capacity(): number {
    return this.#pool.numBlocks - 1;
  }

  get stats(): KvStats {
    const { available, cached, used } = this.#pool;
    const prefix = this.#cache?.stats ?? { queries: 0, hits: 0, evictions: 0 };
    return { freePages: available - cached, cachedPages: cached, usedPages: used, prefix };
  }

  /** Blocks that the request holds at once, at its longest. The last token it may sample is never run and needs no slot. */
  lifetimeBlocks(request: Request): number {
    return peakBlocks(this.groups, request.maxLength - 1) + this.#slotLayers;
  }

  /**
   * Gives a waiting request blocks for all its known tokens, as far as a window lets it hold them at once, the cached prefix
   * first, and sets cachedLen and deviceLen. Holding them from the start means that a prefill does not run out half way.
   * @param running requests that run already; "optimistic" leaves room for one more block of each in every group, lest this
   *   admission cause a preemption at once
   * @returns false, with nothing changed, when the blocks do not suffice now
   */
  admit(request: Request, running: number): boolean {
    const nothing = { length: 0, blocks: this.groups.map(() => []), snapshot: [], fork: 0 };
    const hit = this.#cache?.match(request) ?? nothing;
    if (this.#tryAdmit(request, running, hit)) return true;
    // A request alone fits, but not beside the copy of a slot that it could begin from.
    return running === 0 && hit.snapshot.length > 0 && this.#tryAdmit(request, running, nothing);
  }

  #tryAdmit(request: Request, running: number, { length, blocks: hits, snapshot, fork }: PrefixHit): boolean {
    const known = request.tokens.length;
    const isIdle = (block: number) => this.#pool.references(block) === 0;
    const plans = this.groups.map((group, i) => {
      const first = group.firstBlock(length);
      const end = Math.min(group.blocksFor(known), first + group.mostBlocks);
      const taken = end - length / group.blockTokens + hits[i]!.filter(isIdle).length;
      // Of what is owed to the request, see #promised.
      const later = group.peakBlocks(request.maxLength - 1) - (group.window === 0 ? end : taken);
      return { group, first, end, hits: hits[i]!, taken, later };
    });
    const sum = (of: "taken" | "later") => plans.reduce((total, plan) => total + plan[of], 0);
    const spare = this.#reserves ? this.#promised + sum("later") : running * this.groups.length;
    const slots = this.#slotLayers + snapshot.filter(isIdle).length;
    if (sum("taken") + slots + spare > this.#pool.available) return false;

    // Hits are retained before anything is allocated: allocation evicts cached blocks.
    for (const blocks of [...hits, snapshot]) for (const block of blocks) this.#pool.retain(block);
    request.held = plans.map(({ group, first, end, hits: blocks }): HeldBlocks => {
      while (first + blocks.length < end) blocks.push(this.#pool.allocate());
      return { first, blocks, sealed: length / group.blockTokens, listed: first };
    });
    request.slot = Array.from({ length: this.#slotLayers }, () => this.#pool.allocate());
    this.#restores.push(...snapshot.map((from, layer) => ({ from, to: request.slot[layer]! })));
    request.snapshotsAt = this.#snapshotsWorthMaking(known, fork).filter((at) => at > length);
    if (this.#reserves) this.#promised += sum("later");
    this.#cache?.recordLookup(request, length);
    request.cachedLen = length;
    request.deviceLen = known;
    request.hitLen ??= length;
    request.foundLen = length;
    return true;
  }

  /**
   * Slots are large: they are kept where others are likely to go on from, at the last border before the end of what is known,
   * and where this request has left what it has in common with others.
   */
  #snapshotsWorthMaking(known: number, fork: number): readonly number[] {
    if (this.#slotLayers === 0 || this.#cache === undefined) return [];
    const last = known - 1 - ((known - 1) % this.#cache.unit);
    return [...new Set([fork, last])];
  }

  /** Prepares the lookup of a request that is not added yet; `admit` does what is left. */
  *hashPrompt(request: Request): Steps<void> {
    if (this.#cache !== undefined) yield* this.#cache.hashPrompt(request);
  }

  /**
   * Makes room for the next `count` tokens of the request: lets go of what lies behind the windows, then takes what is missing.
   * @returns false when no block is available; what was taken until then stays
   */
  extend(request: Request, count: number): boolean {
    const end = Math.max(request.tokens.length, request.cachedLen + count);
    for (const group of this.groups) {
      const held = request.held[group.index]!;
      this.#trim(group, held, request.cachedLen);
      const missing = Math.min(group.blocksFor(end) - held.first, group.mostBlocks) - held.blocks.length;
      for (let i = 0; i < missing; i++) {
        if (this.#pool.available === 0) return false;
        held.blocks.push(this.#pool.allocate());
        if (this.#reserves) this.#promised -= 1;
      }
    }
    return true;
  }

  /** Tokens that the request may run before its slot has to be kept. */
  tokensToSnapshot(request: Request): number {
    return (request.snapshotsAt[0] ?? Infinity) - request.cachedLen;
  }

  /** To be called when the step has got tokens of the request: keeps its slot if that is due. */
  noteProgress(request: Request): void {
    const [length, ...later] = request.snapshotsAt;
    if (length === undefined || request.cachedLen < length) return;
    request.snapshotsAt = later;
    this.#snapshots.push({ request, length });
  }

  /** To be called when the step is planned: what it copies. Snapshots take blocks that nobody needs, and none if there are none. */
  endStep(): StepCopies {
    const beforeModel = this.#restores;
    this.#pool.release(beforeModel.map(({ from }) => from));
    const afterModel: BlockCopy[] = [];
    for (const { request, length } of this.#snapshots) {
      const isThere = this.#cache!.hasSnapshot(request, length);
      if (isThere || this.#pool.available - this.#promised < this.#slotLayers) continue;
      const blocks = request.slot.map(() => this.#pool.allocate());
      afterModel.push(...request.slot.map((from, layer) => ({ from, to: blocks[layer]! })));
      this.#cache!.registerSnapshot(request, length, blocks);
      this.#pool.release(blocks);
    }
    this.#restores = [];
    this.#snapshots = [];
    return { beforeModel, afterModel };
  }

  /** Takes all blocks from a request that ends or is preempted; its known tokens stay. */
  release(request: Request): void {
    for (const group of this.groups) {
      const { blocks } = request.held[group.index]!;
      const freed = this.#free(blocks);
      const fulfilled = group.window === 0 ? blocks.length : freed;
      if (this.#reserves) this.#promised -= group.peakBlocks(request.maxLength - 1) - fulfilled;
    }
    this.#pool.release(request.slot);
    request.held = [];
    request.slot = [];
    request.snapshotsAt = [];
    request.cachedLen = 0;
    request.deviceLen = 0;
  }

  /** Registers the blocks that have become full: all ids known, all KV enqueued. */
  seal(request: Request): void {
    if (this.#cache === undefined) return;
    const full = Math.min(request.cachedLen, request.tokens.length);
    for (const [index, held] of request.held.entries()) {
      const group = this.groups[index]!;
      const end = Math.floor(full / group.blockTokens);
      for (; held.sealed < end; held.sealed++) {
        // Of a window so short that it is past the block before its ids are known, nothing is left to be found.
        if (held.sealed >= held.first) this.#cache.register(request, group, held.sealed);
      }
    }
  }

  /** No later request finds the blocks of this one, whose content is in doubt. */
  unregister(request: Request): void {
    this.#cache?.unregister(request);
  }

  /** Forgets all cached content. Only while no request holds blocks. */
  forget(): void {
    this.loans?.forget();
    const blocks: number[] = [];
    while (this.#pool.available > 0) blocks.push(this.#pool.allocate());
    this.#pool.release(blocks);
  }

  /** Tokens to run again if the request were preempted; those that others hold in all groups would be found again. */
  recomputeTokens(request: Request): number {
    if (request.remaining === 0) return 0;
    if (this.#slotLayers > 0) return request.cachedLen; // nobody else holds its slot
    const shared = this.groups.map((group) => {
      const { first, blocks } = request.held[group.index]!;
      const own = blocks.findIndex((block) => this.#pool.references(block) === 1);
      if (own === 0) return 0;
      return (first + (own < 0 ? blocks.length : own)) * group.blockTokens;
    });
    return Math.max(0, request.cachedLen - Math.min(...shared));
  }

  /**
   * @param running all requests that hold blocks
   * @throws WarploopError ERR_INTEGRITY that lists what is wrong
   */
  checkIntegrity(running: readonly Request[]): void {
    const tables = (groups: readonly CacheGroup[]) =>
      running.flatMap(({ held }) => groups.map(({ index }) => held[index]!.blocks));
    const slots = running.map(({ slot }) => slot);
    this.#pool.checkIntegrity([...tables(this.groups), ...slots, ...(this.loans?.tables ?? [])]);
    const problems = this.#cache?.findProblems() ?? [];
    const count = (blocks: readonly (readonly number[])[]) =>
      blocks.reduce((sum, { length }) => sum + length, 0);
    const peaks = running.reduce((sum, { maxLength }) => sum + peakBlocks(this.groups, maxLength - 1), 0);
    const [keeping, windows] = [true, false].map((keeps) =>
      tables(this.groups.filter(({ window }) => (window === 0) === keeps)),
    ) as [number[][], number[][]];
    const owed = peaks - count(keeping) - new Set(windows.flat()).size;
    if (this.#reserves && this.#promised !== owed) {
      problems.push(`${this.#promised} blocks are promised, the requests need ${owed}`);
    }
    if (this.#promised > this.#pool.available) {
      problems.push(`${this.#promised} blocks are promised, ${this.#pool.available} are available`);
    }
    if (problems.length > 0) throw new WarploopError("ERR_INTEGRITY", `kv pages: ${problems.join("; ")}`);
  }

  /** Lets go of the blocks that no token from position `start` on sees. They can still be found in the prefix cache. */
  #trim(group: CacheGroup, held: HeldBlocks, start: number): void {
    const count = group.firstBlock(start) - held.first;
    if (count <= 0) return;
    const freed = this.#free(held.blocks.slice(0, count));
    if (this.#reserves) this.#promised += freed;
    held.blocks = held.blocks.slice(count);
    held.first += count;
  }

  /** @returns how many of them nobody holds any more */
  #free(blocks: readonly number[]): number {
    const before = this.#pool.available;
    this.#pool.release(blocks);
    return this.#pool.available - before;
  }
}
