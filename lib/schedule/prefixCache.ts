/**
 * Finds pages whose KV a new request can reuse. Full pages are keyed by a hash chain (parent hash, token ids; salt and
 * adapter in the root), so equal keys mean an equal prefix from token 0; the token ids are compared on a hit all the same.
 * Only full pages are registered and nobody writes to them again, so no copy-on-write is needed.
 * Not responsible for holding pages: BlockPool keeps the counts, and tells this class when a page is evicted.
 *
 * Pages made twice (two requests prefilled the same prompt at once) are tolerated: the first stays registered.
 * The hash-chain design is that of vLLM, https://docs.vllm.ai/en/latest/design/prefix_caching/.
 */
import { hash } from "node:crypto";
import type { Steps } from "../eventLoop.js";
import type { BlockPool } from "./blockPool.js";
import type { Request, RequestParams } from "./request.js";

/** Hash of one full page, given the hash of the page before it (of the root for the first page). */
export type HashPage = (parent: string, tokens: Int32Array) => string;

/** Counters in tokens, except `evictions` (pages). */
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

export class PrefixCache {
  readonly #pool: BlockPool;
  readonly #pageSize: number;
  readonly #hashPage: HashPage;
  readonly #pageOfHash = new Map<string, number>();
  /** By page; undefined for a page that is not registered. */
  readonly #hashOfPage: (string | undefined)[];
  /** [numPages, pageSize] token ids of the registered pages. */
  readonly #tokens: Int32Array;
  #queries = 0;
  #hits = 0;
  #evictions = 0;

  /** @param hashPage tests replace it to force collisions */
  constructor(pool: BlockPool, pageSize: number, hashPage: HashPage = sha256Page) {
    this.#pool = pool;
    this.#pageSize = pageSize;
    this.#hashPage = hashPage;
    this.#hashOfPage = new Array<string | undefined>(pool.numPages).fill(undefined);
    this.#tokens = new Int32Array(pool.numPages * pageSize);
  }

  get stats(): PrefixCacheStats {
    return { queries: this.#queries, hits: this.#hits, evictions: this.#evictions };
  }

  /**
   * The pages of the longest cached prefix of the known tokens, the last token excluded: it is always recomputed, because
   * its hidden state is what the next token is sampled from. The pages are not retained and nothing is counted.
   */
  match(request: Request): number[] {
    const pages: number[] = [];
    if (request.needsPromptLogits || request.skipsCache) return pages;
    const limit = Math.floor((request.tokens.length - 1) / this.#pageSize);
    for (let index = 0; index < limit; index++) {
      const page = this.#pageOfHash.get(this.#hashOf(request, index));
      if (page === undefined || !this.#holdsTokens(page, request, index)) break;
      pages.push(page);
    }
    return pages;
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

  /** Registers page `index` of a request. Its ids must be known and its KV enqueued; nobody may write to it again. */
  register(request: Request, index: number): void {
    const hash = this.#hashOf(request, index);
    const page = request.pages[index]!;
    if (this.#pageOfHash.has(hash)) return;
    this.#pool.markCached(page);
    const start = index * this.#pageSize;
    this.#tokens.set(request.tokens.view(start, start + this.#pageSize), page * this.#pageSize);
    this.#pageOfHash.set(hash, page);
    this.#hashOfPage[page] = hash;
  }

  /** Forgets a page that the pool hands out for new content. */
  evict(page: number): void {
    const hash = this.#hashOfPage[page];
    if (hash === undefined) return;
    this.#pageOfHash.delete(hash);
    this.#hashOfPage[page] = undefined;
    this.#evictions += 1;
  }

  /** Makes the pages of a request, its own and those it found, findable no more, whoever holds them. */
  unregister(request: Request): void {
    for (let index = 0; index < request.pageHashes.length; index++) {
      const hash = request.pageHashes.at(index);
      const page = this.#pageOfHash.get(hash);
      if (page === undefined) continue;
      this.#pageOfHash.delete(hash);
      this.#hashOfPage[page] = undefined;
      this.#pool.unmarkCached(page);
    }
  }

  /** What is wrong between the hash map and the pool's cached flags; empty when all is well. */
  findProblems(): string[] {
    const problems: string[] = [];
    for (let page = 0; page < this.#pool.numPages; page++) {
      const hash = this.#hashOfPage[page];
      if (hash !== undefined && this.#pageOfHash.get(hash) !== page) {
        problems.push(`prefix cache: the hash of page ${page} leads to ${this.#pageOfHash.get(hash)}`);
      }
      if (this.#pool.isCached(page) !== (hash !== undefined)) {
        problems.push(
          `prefix cache: page ${page} is ${hash === undefined ? "not " : ""}registered, the pool disagrees`,
        );
      }
    }
    return problems;
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

  #holdsTokens(page: number, request: Request, index: number): boolean {
    const tokens = request.tokens.view(index * this.#pageSize, (index + 1) * this.#pageSize);
    const start = page * this.#pageSize;
    return tokens.every((token, i) => this.#tokens[start + i] === token);
  }
}
