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
import { hash } from "node:crypto";
import { leastCommonMultiple } from "../arithmetic.js";
import type { Steps } from "../eventLoop.js";
import type { BlockPool } from "./blockPool.js";
import type { CacheGroup } from "./cacheGroup.js";
import type { Request, RequestParams } from "./request.js";

/** Hash of one full page, given the hash of the page before it (of the root for the first page). */
export type HashPage = (parent: string, tokens: Int32Array) => string;

/** Counters in tokens, except `evictions` (blocks). */
export interface PrefixCacheStats {
  /** Tokens of admitted requests that were looked up. */
  readonly queries: number;
  /** Of these, tokens found. */
  readonly hits: number;
  readonly evictions: number;
}

/** About 0.1 ms. */
const hashesPerStep = 32;

/** 32 bytes as a 32-character string: the compact form of a digest that a Map can use as a key. */
const sha256Page: HashPage = (parent, tokens) => {
  const bytes = Buffer.allocUnsafe(parent.length + tokens.byteLength);
  bytes.write(parent, "latin1");
  bytes.set(new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength), parent.length);
  return hash("sha256", bytes, "binary");
};

/** The chain's parent of page 0. JSON keeps (salt, adapter) pairs apart whatever characters they contain. */
function rootHash({ cacheSalt = "", adapterId = "" }: RequestParams): string {
  return hash("sha256", JSON.stringify([cacheSalt, adapterId]), "binary");
}

/** What a request finds. */
export interface PrefixHit {
  /** Tokens. */
  readonly length: number;
  /** By group: the blocks of that prefix that are still seen behind it. */
  readonly blocks: number[][];
}

export class PrefixCache {
  readonly #pool: BlockPool;
  readonly #pageSize: number;
  readonly #groups: readonly CacheGroup[];
  readonly #hashPage: HashPage;
  /** Tokens that a hit has a multiple of: where the blocks of all groups end. */
  readonly #unit: number;
  /** By group. */
  readonly #blockOfHash: readonly Map<string, number>[];
  /** By block; undefined for one that is not registered. */
  readonly #hashOfBlock: (string | undefined)[];
  /** By block, while it is registered. */
  readonly #groupOfBlock: Uint8Array;
  /** [numBlocks, the most tokens of a block] token ids of the registered blocks. */
  readonly #tokens: Int32Array;
  readonly #tokensPerBlock: number;
  #queries = 0;
  #hits = 0;
  #evictions = 0;

  /** @param hashPage tests replace it to force collisions */
  constructor(
    pool: BlockPool,
    pageSize: number,
    groups: readonly CacheGroup[],
    hashPage: HashPage = sha256Page,
  ) {
    this.#pool = pool;
    this.#pageSize = pageSize;
    this.#groups = groups;
    this.#hashPage = hashPage;
    this.#unit = groups.map(({ blockTokens }) => blockTokens).reduce(leastCommonMultiple, 1);
    this.#blockOfHash = groups.map(() => new Map<string, number>());
    this.#hashOfBlock = new Array<string | undefined>(pool.numBlocks).fill(undefined);
    this.#groupOfBlock = new Uint8Array(pool.numBlocks);
    this.#tokensPerBlock = Math.max(...groups.map(({ blockTokens }) => blockTokens));
    this.#tokens = new Int32Array(pool.numBlocks * this.#tokensPerBlock);
  }

  get stats(): PrefixCacheStats {
    return { queries: this.#queries, hits: this.#hits, evictions: this.#evictions };
  }

  /**
   * The longest cached prefix of the known tokens, the last token excluded: it is always recomputed, because its hidden state
   * is what the next token is sampled from. Every group may shorten it, until none does: a window needs the blocks before its
   * end alone. The blocks are not retained and nothing is counted.
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
    for (let before = -1; before !== length;) {
      before = length;
      for (const group of this.#groups)
        if (group.window > 0) length = this.#shortenToWindow(request, group, length);
    }
    const blocks = this.#groups.map((group, i) => {
      const end = length / group.blockTokens;
      if (group.window === 0) return kept[i]!.slice(0, end);
      const first = group.firstBlock(length);
      return Array.from({ length: end - first }, (_, at) => this.#find(request, group, first + at)!);
    });
    return { length, blocks };
  }

  /** Hashes the full pages of a prompt ahead of `match`, which would do it all at once. */
  *hashPrompt(request: Request): Steps<void> {
    const numPages = Math.floor(request.promptLength / this.#pageSize);
    for (let index = 0; index < numPages; index += hashesPerStep) {
      this.#hashOf(request, Math.min(index + hashesPerStep, numPages) - 1);
      yield;
    }
  }

  /** Counts the lookup of an admitted request; requests that skip lookups are not counted. */
  recordLookup(request: Request, hitTokens: number): void {
    if (request.needsPromptLogits || request.skipsCache) return;
    this.#queries += request.tokens.length;
    this.#hits += hitTokens;
  }

  /** Registers block `index` of a request. Its ids must be known and its KV enqueued; nobody may write to it again. */
  register(request: Request, group: CacheGroup, index: number): void {
    const hash = this.#keyOf(request, group, index);
    const { first, blocks } = request.held[group.index]!;
    const block = blocks[index - first]!;
    const blockOfHash = this.#blockOfHash[group.index]!;
    if (blockOfHash.has(hash)) return;
    this.#pool.markCached(block);
    this.#tokens.set(tokensOf(request, group, index), block * this.#tokensPerBlock);
    blockOfHash.set(hash, block);
    this.#hashOfBlock[block] = hash;
    this.#groupOfBlock[block] = group.index;
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
    return block !== undefined && this.#holdsTokens(block, request, group, index) ? block : undefined;
  }

  /** Where the blocks of all groups end. */
  #floor(length: number): number {
    return Math.floor(length / this.#unit) * this.#unit;
  }

  #mapOf(block: number): Map<string, number> {
    return this.#blockOfHash[this.#groupOfBlock[block]!]!;
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
    return this.#hashOf(request, (index + 1) * pagesPerBlock - 1);
  }

  #hashOf(request: Request, index: number): string {
    const hashes = request.pageHashes;
    while (hashes.length <= index) {
      const start = hashes.length * this.#pageSize;
      const parent = hashes.length === 0 ? rootHash(request.params) : hashes.at(hashes.length - 1);
      hashes.push(this.#hashPage(parent, request.tokens.view(start, start + this.#pageSize)));
    }
    return hashes.at(index);
  }

  #holdsTokens(block: number, request: Request, group: CacheGroup, index: number): boolean {
    const start = block * this.#tokensPerBlock;
    return tokensOf(request, group, index).every((token, i) => this.#tokens[start + i] === token);
  }
}

function tokensOf(request: Request, { blockTokens }: CacheGroup, index: number): Int32Array {
  return request.tokens.view(index * blockTokens, (index + 1) * blockTokens);
}
