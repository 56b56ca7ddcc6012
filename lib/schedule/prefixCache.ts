/**
 * Finds blocks whose KV a new request can reuse. Full pages are keyed by a hash chain (parent hash, token ids; salt and
 * adapter in the root), so equal keys mean an equal prefix from token 0; a block has the key of its last page, in its cache
 * group. The token ids are compared on a hit all the same. Only full blocks are registered and nobody writes to them again, so
 * no copy-on-write is needed.
 * Not responsible for holding blocks: BlockPool keeps the counts, and tells this class when one is evicted.
 *
 * Blocks made twice (two requests prefilled the same prompt at once) are tolerated: the first stays registered.
 * The hash-chain design and the search over groups are those of vLLM, https://docs.vllm.ai/en/latest/design/prefix_caching/ and
 * https://docs.vllm.ai/en/latest/design/hybrid_kv_cache_manager/.
 */
import { leastCommonMultiple } from "../arithmetic.js";
import type { Steps } from "../eventLoop.js";
import type { BlockPool } from "./blockPool.js";
import type { CacheGroup } from "./cacheGroup.js";
import { type HashPage, PageHasher } from "./pageHasher.js";
import type { Request } from "./request.js";

/** Counters in tokens, except `evictions` (blocks). */
export interface PrefixCacheStats {
  /** Tokens of admitted requests that were looked up. */
  readonly queries: number;
  /** Of these, tokens found. */
  readonly hits: number;
  readonly evictions: number;
}

/** What a request finds. */
export interface PrefixHit {
  /** Tokens. */
  readonly length: number;
  /** By group: the blocks of that prefix that are still seen behind it. */
  readonly blocks: number[][];
  /** By layer with a slot: a copy of it as it was behind that prefix; empty for none. */
  readonly snapshot: number[];
  /** Tokens that all groups have, where a slot has not: a place worth a snapshot. */
  readonly fork: number;
}

/** What the prefix cache may find in a block: pages of a cache group, or a copy of the slot of a layer. */
export interface PrefixCacheSizes {
  /** Tokens of a page. */
  readonly pageSize: number;
  readonly groups: readonly CacheGroup[];
  readonly slotLayers: number;
}

export class PrefixCache {
  readonly #pool: BlockPool;
  readonly #pageSize: number;
  readonly #groups: readonly CacheGroup[];
  readonly #slotLayers: number;
  readonly #hasher: PageHasher;
  /** Tokens that a hit has a multiple of: where the blocks of all groups end. */
  readonly #unit: number;
  /** By group, then by layer with a slot. */
  readonly #blockOfHash: readonly Map<string, number>[];
  /** By block; undefined for one that is not registered. */
  readonly #hashOfBlock: (string | undefined)[];
  /** By block, while it is registered: the index of its map. */
  readonly #mapOfBlock: Uint16Array;
  /** [numBlocks, the most tokens of a block] token ids of the registered blocks. */
  readonly #tokens: Int32Array;
  readonly #tokensPerBlock: number;
  #queries = 0;
  #hits = 0;
  #evictions = 0;

  /** @param hashPage tests replace it to force collisions */
  constructor(pool: BlockPool, { pageSize, groups, slotLayers }: PrefixCacheSizes, hashPage?: HashPage) {
    this.#pool = pool;
    this.#pageSize = pageSize;
    this.#groups = groups;
    this.#slotLayers = slotLayers;
    this.#hasher = new PageHasher(pageSize, hashPage);
    this.#unit = groups.map(({ blockTokens }) => blockTokens).reduce(leastCommonMultiple, pageSize);
    const count = groups.length + slotLayers;
    this.#blockOfHash = Array.from({ length: count }, () => new Map<string, number>());
    this.#hashOfBlock = new Array<string | undefined>(pool.numBlocks).fill(undefined);
    this.#mapOfBlock = new Uint16Array(pool.numBlocks);
    this.#tokensPerBlock = Math.max(pageSize, ...groups.map(({ blockTokens }) => blockTokens));
    this.#tokens = new Int32Array(pool.numBlocks * this.#tokensPerBlock);
  }

  get stats(): PrefixCacheStats {
    return { queries: this.#queries, hits: this.#hits, evictions: this.#evictions };
  }

  /**
   * The longest cached prefix of the known tokens, the last token excluded: it is always recomputed, because its hidden state
   * is what the next token is sampled from. Every group may shorten it, until none does: a window needs the blocks before its
   * end alone, a slot a copy of it as it was just there. The blocks are not retained and nothing is counted.
   */
  match(request: Request): PrefixHit {
    const isSkipped = request.needsPromptLogits || request.skipsCache;
    let length = isSkipped ? 0 : this.#floor(request.tokens.length - 1);
    // What is shorter than a prefix that such a group has, it has, too.
    const kept = this.#groups.map((group) => {
      const blocks = group.window === 0 ? this.#findLeading(request, group, length) : [];
      if (group.window === 0) length = this.#floor(blocks.length * group.blockTokens);
      return blocks;
    });
    length = this.#shortenToWindows(request, length);
    const fork = length;
    let snapshot = this.#findSnapshot(request, length);
    while (this.#slotLayers > 0 && snapshot.length === 0 && length > 0) {
      length -= this.#unit;
      snapshot = this.#findSnapshot(request, length);
      if (snapshot.length === 0) continue; // one lookup, where windows need one for each of their blocks
      const whole = this.#shortenToWindows(request, length);
      if (whole < length) snapshot = this.#findSnapshot(request, whole);
      length = whole;
    }
    const blocks = this.#groups.map((group, i) => {
      const end = length / group.blockTokens;
      if (group.window === 0) return kept[i]!.slice(0, end);
      const first = group.firstBlock(length);
      return Array.from({ length: end - first }, (_, at) => this.#find(request, group, first + at)!);
    });
    return { length, blocks, snapshot, fork };
  }

  /** Hashes the full pages of a prompt ahead of `match`, which would do it all at once. */
  hashPrompt(request: Request): Steps<void> {
    return this.#hasher.hashPrompt(request);
  }

  /** Counts the lookup of an admitted request; requests that skip lookups are not counted. */
  recordLookup(request: Request, hitTokens: number): void {
    if (request.needsPromptLogits || request.skipsCache) return;
    this.#queries += request.tokens.length;
    this.#hits += hitTokens;
  }

  /** Registers block `index` of a request. Its ids must be known and its KV enqueued; nobody may write to it again. */
  register(request: Request, group: CacheGroup, index: number): void {
    const { first, blocks } = request.held[group.index]!;
    const hash = this.#keyOf(request, group, index);
    this.#register(blocks[index - first]!, group.index, { hash, tokens: tokensOf(request, group, index) });
  }

  /** Whether the slots behind so many tokens of a request are there, or their copies asked for already. */
  hasSnapshot(request: Request, length: number): boolean {
    return this.#findSnapshot(request, length).length > 0;
  }

  /** Where prefixes end that snapshots are of use for: a multiple of this many tokens. */
  get unit(): number {
    return this.#unit;
  }

  /** Registers a copy of the slots of a request behind so many tokens, a block for each layer. */
  registerSnapshot(request: Request, length: number, blocks: readonly number[]): void {
    const hash = this.#hasher.hashOf(request, length / this.#pageSize - 1);
    const tokens = this.#pageEnding(length);
    for (const [layer, block] of blocks.entries()) {
      this.#register(block, this.#groups.length + layer, { hash, tokens: request.tokens.view(...tokens) });
    }
  }

  #register(
    block: number,
    map: number,
    { hash, tokens }: { readonly hash: string; readonly tokens: Int32Array },
  ): void {
    const blockOfHash = this.#blockOfHash[map]!;
    if (blockOfHash.has(hash)) return;
    this.#pool.markCached(block);
    this.#tokens.set(tokens, block * this.#tokensPerBlock);
    blockOfHash.set(hash, block);
    this.#hashOfBlock[block] = hash;
    this.#mapOfBlock[block] = map;
  }

  /** Forgets a block that the pool hands out for new content. */
  evict(block: number): void {
    if (this.#forget(block)) this.#evictions += 1;
  }

  /** Makes the blocks of a request, its own and those it found, findable no more, whoever holds them. */
  unregister(request: Request): void {
    for (let index = 0; index < request.pageHashes.length; index++) {
      const hash = request.pageHashes.at(index);
      for (const blockOfHash of this.#blockOfHash) {
        const block = blockOfHash.get(hash);
        if (block !== undefined && this.#forget(block)) this.#pool.unmarkCached(block);
      }
    }
  }

  /** What is wrong between the hash maps and the pool's cached flags; empty when all is well. */
  findProblems(): string[] {
    const problems: string[] = [];
    for (let block = 0; block < this.#pool.numBlocks; block++) {
      const hash = this.#hashOfBlock[block];
      const found = hash === undefined ? block : this.#mapOf(block).get(hash);
      if (found !== block) problems.push(`prefix cache: the hash of block ${block} leads to ${found}`);
      if (this.#pool.isCached(block) !== (hash !== undefined)) {
        problems.push(
          `prefix cache: block ${block} is ${hash === undefined ? "not " : ""}registered, the pool disagrees`,
        );
      }
    }
    return problems;
  }

  /** From the start of the sequence to the first that is missing. */
  #findLeading(request: Request, group: CacheGroup, length: number): number[] {
    const blocks: number[] = [];
    while (blocks.length * group.blockTokens < length) {
      const block = this.#find(request, group, blocks.length);
      if (block === undefined) break;
      blocks.push(block);
    }
    return blocks;
  }

  /** The longest prefix of at most `length` tokens of which every window is there. */
  #shortenToWindows(request: Request, length: number): number {
    let end = length;
    for (let before = -1; before !== end;) {
      before = end;
      for (const group of this.#groups)
        if (group.window > 0) end = this.#shortenToWindow(request, group, end);
    }
    return end;
  }

  /** The copies of the slots behind so many tokens; empty when they are not there in all layers. */
  #findSnapshot(request: Request, length: number): number[] {
    const blocks: number[] = [];
    for (let layer = 0; layer < this.#slotLayers && length > 0; layer++) {
      const index = length / this.#pageSize - 1;
      const block = this.#blockOfHash[this.#groups.length + layer]!.get(this.#hasher.hashOf(request, index));
      if (block === undefined || !this.#holdsTokens(block, request, this.#pageEnding(length))) return [];
      blocks.push(block);
    }
    return blocks;
  }

  /** The longest prefix of at most `length` tokens whose last window is there. From its end: all longer ones see a block that is missing. */
  #shortenToWindow(request: Request, group: CacheGroup, length: number): number {
    let end = length;
    for (let index = end / group.blockTokens - 1; index >= group.firstBlock(end); index--) {
      if (this.#find(request, group, index) !== undefined) continue;
      end = this.#floor(index * group.blockTokens);
      index = end / group.blockTokens;
    }
    return end;
  }

  #find(request: Request, group: CacheGroup, index: number): number | undefined {
    const block = this.#blockOfHash[group.index]!.get(this.#keyOf(request, group, index));
    if (block === undefined) return undefined;
    return this.#holdsTokens(block, request, rangeOf(group, index)) ? block : undefined;
  }

  /** Where the blocks of all groups end. */
  #floor(length: number): number {
    return Math.floor(length / this.#unit) * this.#unit;
  }

  #mapOf(block: number): Map<string, number> {
    return this.#blockOfHash[this.#mapOfBlock[block]!]!;
  }

  /** @returns whether it was registered */
  #forget(block: number): boolean {
    const hash = this.#hashOfBlock[block];
    if (hash === undefined) return false;
    this.#mapOf(block).delete(hash);
    this.#hashOfBlock[block] = undefined;
    return true;
  }

  /** The hash of the block's last page. */
  #keyOf(request: Request, { pagesPerBlock }: CacheGroup, index: number): string {
    return this.#hasher.hashOf(request, (index + 1) * pagesPerBlock - 1);
  }

  /** The tokens of a slot's last page stand for all: the hash is that of the whole prefix. */
  #pageEnding(length: number): readonly [number, number] {
    return [length - this.#pageSize, length];
  }

  #holdsTokens(block: number, request: Request, range: readonly [number, number]): boolean {
    const start = block * this.#tokensPerBlock;
    return request.tokens.view(...range).every((token, i) => this.#tokens[start + i] === token);
  }
}

function rangeOf({ blockTokens }: CacheGroup, index: number): readonly [number, number] {
  return [index * blockTokens, (index + 1) * blockTokens];
}

function tokensOf(request: Request, group: CacheGroup, index: number): Int32Array {
  return request.tokens.view(...rangeOf(group, index));
}
