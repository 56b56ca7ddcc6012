/**
 * Prefixes of the cache that somebody beside the requests reads, or fills: their blocks are held meanwhile, so that no request gets
 * them for new content, and are cached when they are given back.
 * What is promised to requests is not lent. A lone request that finds too few blocks while some are lent waits until they are back.
 */
import { CapacityError } from "../errors.js";
import type { BlockPool } from "./blockPool.js";
import type { CacheGroup } from "./cacheGroup.js";
import type { PrefixCache, PrefixHit } from "./prefixCache.js";
import type { Request } from "./request.js";

/** The blocks of a prefix. */
export interface PrefixLoan {
  /** Has the tokens of the prefix and at least one more; belongs to no scheduler. */
  readonly request: Request;
  /** Tokens; a multiple of where the blocks of all groups end. */
  readonly length: number;
  /** By group: those that are seen from behind the prefix. */
  readonly blocks: readonly (readonly number[])[];
  /** By layer with a slot: a copy of it as it is behind the prefix. */
  readonly slot: readonly number[];
}

/** What loans are made of: that of KvPages. */
export interface PrefixLender {
  readonly pool: BlockPool;
  readonly cache: PrefixCache;
  readonly groups: readonly CacheGroup[];
  readonly slotLayers: number;
  /** Blocks that nobody needs. */
  readonly spare: () => number;
}

export class PrefixLoans {
  readonly #from: PrefixLender;
  readonly #open = new Set<PrefixLoan>();
  /** Called when blocks are back. */
  onReturn: () => void = () => undefined;

  constructor(from: PrefixLender) {
    this.#from = from;
  }

  /** Tokens that lengths of prefixes are multiples of. */
  get unit(): number {
    return this.#from.cache.unit;
  }

  get isLending(): boolean {
    return this.#open.size > 0;
  }

  /** The blocks that are lent, as the pool's check of its counts wants them. */
  get tables(): (readonly number[])[] {
    return [...this.#open].flatMap(({ blocks, slot }) => [...blocks, slot]);
  }

  /** Tokens of the longest prefix that is cached. */
  lengthOf(request: Request): number {
    return this.#from.cache.match(request).length;
  }

  /** The longest prefix that is cached, for reading. @throws CapacityError if requests need its blocks */
  lend(request: Request): PrefixLoan {
    const { pool, cache } = this.#from;
    const { length, blocks, snapshot }: PrefixHit = cache.match(request);
    const all = [...blocks.flat(), ...snapshot];
    this.#require(all.filter((block) => pool.references(block) === 0).length);
    for (const block of all) pool.retain(block);
    return this.#begin({ request, length, blocks, slot: snapshot });
  }

  /**
   * Blocks for a prefix, for writing.
   *
   * @param length a multiple of `unit`
   * @throws CapacityError if there are not so many that nobody needs
   */
  take(request: Request, length: number): PrefixLoan {
    const { pool, groups, slotLayers } = this.#from;
    const counts = groups.map((group) => length / group.blockTokens - group.firstBlock(length));
    this.#require(counts.reduce((sum, count) => sum + count, slotLayers));
    const allocate = (count: number): number[] => Array.from({ length: count }, () => pool.allocate());
    return this.#begin({ request, length, blocks: counts.map(allocate), slot: allocate(slotLayers) });
  }

  /** Whether what was lent is still what the cache has: not if it was in doubt meanwhile. */
  isValid({ request, length, blocks, slot }: PrefixLoan): boolean {
    const hit = this.#from.cache.match(request);
    const pairs = [...blocks, slot].map((list, i) => [list, [...hit.blocks, hit.snapshot][i]!] as const);
    return hit.length === length && pairs.every(([list, found]) => list.every((one, i) => one === found[i]));
  }

  /** What was taken is written, or its writes are queued: from now on requests find it. */
  register({ request, length, blocks, slot }: PrefixLoan): void {
    const { cache, groups } = this.#from;
    request.held = groups.map((group, i) => {
      const first = group.firstBlock(length);
      return { first, blocks: [...blocks[i]!], sealed: 0, listed: 0 };
    });
    for (const group of groups) {
      const { first, blocks: held } = request.held[group.index]!;
      for (const i of held.keys()) cache.register(request, group, first + i);
    }
    if (slot.length > 0) cache.registerSnapshot(request, length, slot);
    request.held = [];
  }

  giveBack(loan: PrefixLoan): void {
    if (!this.#open.delete(loan)) return;
    this.#from.pool.release([...loan.blocks.flat(), ...loan.slot]);
    this.onReturn();
  }

  /** Nothing that is lent is to be found any more. */
  forget(): void {
    for (const { request } of this.#open) this.#from.cache.unregister(request);
  }

  #begin(loan: PrefixLoan): PrefixLoan {
    this.#open.add(loan);
    return loan;
  }

  #require(blocks: number): void {
    const spare = this.#from.spare();
    if (blocks <= spare) return;
    throw new CapacityError(`the prefix takes ${blocks} KV pages, ${spare} are free now`);
  }
}
