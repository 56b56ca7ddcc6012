// Contract: a hit means the same tokens from position 0, the same salt and the same adapter; the last token is never part of
// a hit; an evicted page is never found.
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../lib/schedule/blockPool.js";
import { CacheGroup, oneGroup } from "../../lib/schedule/cacheGroup.js";
import { PrefixCache } from "../../lib/schedule/prefixCache.js";
import { Request, type RequestParams } from "../../lib/schedule/request.js";

const pageSize = 4;
const blocksOf = (request: Request) => request.held[0]!.blocks;
const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);

function setUp(numBlocks = 20, hashPage?: ConstructorParameters<typeof PrefixCache>[2]) {
  const pool: BlockPool = new BlockPool(numBlocks, (block) => cache.evict(block));
  const group = new CacheGroup(0, oneGroup[0]!, pageSize, 16);
  const cache: PrefixCache = new PrefixCache(pool, { pageSize, groups: [group], slotLayers: 0 }, hashPage);
  let ids = 0;
  const request = (tokens: number[], params: Partial<RequestParams> = {}) =>
    new Request(`r${ids++}`, tokens, { maxTokens: 9, ...params });
  /** A request whose full pages are all registered. */
  const stored = (tokens: number[], params: Partial<RequestParams> = {}) => {
    const owner = request(tokens, params);
    owner.held = [{ first: 0, blocks: [], sealed: 0, listed: 0 }];
    for (let index = 0; index < Math.floor(tokens.length / pageSize); index++) {
      owner.held[0]!.blocks.push(pool.allocate());
      cache.register(owner, group, index);
    }
    return owner;
  };
  /** Blocks of the one group. */
  const match = (wanted: Request) => cache.match(wanted).blocks[0];
  return { pool, cache, group, match, request, stored };
}

describe("match", () => {
  for (const [length, expected] of [
    [1, 0],
    [4, 0],
    [5, 1],
    [8, 1],
    [9, 2],
    [12, 2],
    [13, 3],
    [30, 3],
  ] as const) {
    test(`${length} tokens of a cached run of 12 find ${expected} pages: the last token is recomputed`, () => {
      const { match, request, stored } = setUp();
      const owner = stored(range(12));
      expect(match(request(range(length)))).toEqual(blocksOf(owner).slice(0, expected));
    });
  }

  test("a difference ends the match at its page, even if later pages are equal", () => {
    const { match, request, stored } = setUp();
    const owner = stored(range(16));
    expect(match(request([...range(5), 99, ...range(14, 6)]))).toEqual(blocksOf(owner).slice(0, 1));
    expect(match(request([99, ...range(19, 1)]))).toEqual([]);
    // The second page's tokens, but not behind the first page.
    expect(match(request(range(9, 4)))).toEqual([]);
  });

  for (const params of [{ cacheSalt: "b" }, { adapterId: "b" }, { cacheSalt: "", adapterId: "a" }]) {
    test(`a request with ${JSON.stringify(params)} does not see pages of salt "a"`, () => {
      const { match, request, stored } = setUp();
      const owner = stored(range(8), { cacheSalt: "a" });
      expect(match(request(range(9), params))).toEqual([]);
      expect(match(request(range(9), { cacheSalt: "a" }))).toEqual(blocksOf(owner));
    });
  }

  test("salt and adapter cannot imitate each other", () => {
    const { match, request, stored } = setUp();
    stored(range(8), { cacheSalt: 'x","y', adapterId: "z" });
    expect(match(request(range(9), { cacheSalt: "x", adapterId: 'y","z' }))).toEqual([]);
  });

  test("a request that needs logits of its whole prompt skips the lookup and is not counted", () => {
    const { cache, match, request, stored } = setUp();
    stored(range(8));
    const scored = request(range(9), { promptLogits: true });
    expect(match(scored)).toEqual([]);
    cache.recordLookup(scored, 0);
    expect(cache.stats.queries).toBe(0);
    scored.logitsPlanned = 9;
    expect(match(scored)).toHaveLength(2);
  });

  test("hashes that collide do not hit: the tokens are compared", () => {
    const { match, request, stored } = setUp(20, () => "the same for all");
    const owner = stored(range(4));
    expect(match(request(range(5)))).toEqual(blocksOf(owner));
    expect(match(request(range(5, 7)))).toEqual([]);
  });
});

describe("register", () => {
  test("of two copies of a page the first stays registered, the second stays plain", () => {
    const { pool, cache, match, request, stored } = setUp();
    const first = stored(range(8));
    const second = stored(range(8));
    expect(match(request(range(9)))).toEqual(blocksOf(first));
    expect(blocksOf(second).some((page) => pool.isCached(page))).toBe(false);
    pool.release(blocksOf(second));
    expect(pool.cached).toBe(0);
    expect(cache.findProblems()).toEqual([]);
  });

  test("generated tokens extend the chain of the prompt", () => {
    const { pool, cache, group, match, request, stored } = setUp();
    const owner = stored(range(6));
    for (const id of [6, 7]) owner.tokens.push(id);
    owner.held[0]!.blocks.push(pool.allocate());
    cache.register(owner, group, 1);
    expect(match(request(range(9)))).toEqual(blocksOf(owner));
  });
});

test("an evicted page is forgotten, and with it all pages behind it", () => {
  const { pool, cache, match, request, stored } = setUp(4);
  const owner = stored(range(12));
  pool.release(blocksOf(owner));
  expect(match(request(range(13)))).toEqual(blocksOf(owner));
  expect(pool.allocate()).toBe(blocksOf(owner)[2]);
  expect(match(request(range(13)))).toEqual(blocksOf(owner).slice(0, 2));
  pool.allocate();
  pool.allocate();
  expect(match(request(range(13)))).toEqual([]);
  expect(cache.stats.evictions).toBe(3);
  expect(cache.findProblems()).toEqual([]);
});

test("stats count tokens", () => {
  const { cache, request, stored } = setUp();
  stored(range(8));
  cache.recordLookup(request(range(9)), 8);
  cache.recordLookup(request(range(3)), 0);
  expect(cache.stats).toEqual({ queries: 12, hits: 8, evictions: 0 });
});
