// Contract: a hit means the same tokens from position 0, the same salt and the same adapter; the last token is never part of
// a hit; an evicted page is never found.
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../lib/schedule/blockPool.js";
import { PrefixCache } from "../../lib/schedule/prefixCache.js";
import { Request, type RequestParams } from "../../lib/schedule/request.js";

const pageSize = 4;
const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);

function setUp(numPages = 20, hashPage?: ConstructorParameters<typeof PrefixCache>[2]) {
  const pool: BlockPool = new BlockPool(numPages, (page) => cache.evict(page));
  const cache: PrefixCache = new PrefixCache(pool, pageSize, hashPage);
  let ids = 0;
  const request = (tokens: number[], params: Partial<RequestParams> = {}) =>
    new Request(`r${ids++}`, tokens, { maxTokens: 9, ...params });
  /** A request whose full pages are all registered. */
  const stored = (tokens: number[], params: Partial<RequestParams> = {}) => {
    const owner = request(tokens, params);
    for (let index = 0; index < Math.floor(tokens.length / pageSize); index++) {
      owner.pages.push(pool.allocate());
      cache.register(owner, index);
    }
    return owner;
  };
  return { pool, cache, request, stored };
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
      const { cache, request, stored } = setUp();
      const owner = stored(range(12));
      expect(cache.match(request(range(length)))).toEqual(owner.pages.slice(0, expected));
    });
  }

  test("a difference ends the match at its page, even if later pages are equal", () => {
    const { cache, request, stored } = setUp();
    const owner = stored(range(16));
    expect(cache.match(request([...range(5), 99, ...range(14, 6)]))).toEqual(owner.pages.slice(0, 1));
    expect(cache.match(request([99, ...range(19, 1)]))).toEqual([]);
    // The second page's tokens, but not behind the first page.
    expect(cache.match(request(range(9, 4)))).toEqual([]);
  });

  for (const params of [{ cacheSalt: "b" }, { adapterId: "b" }, { cacheSalt: "", adapterId: "a" }]) {
    test(`a request with ${JSON.stringify(params)} does not see pages of salt "a"`, () => {
      const { cache, request, stored } = setUp();
      const owner = stored(range(8), { cacheSalt: "a" });
      expect(cache.match(request(range(9), params))).toEqual([]);
      expect(cache.match(request(range(9), { cacheSalt: "a" }))).toEqual(owner.pages);
    });
  }

  test("salt and adapter cannot imitate each other", () => {
    const { cache, request, stored } = setUp();
    stored(range(8), { cacheSalt: 'x","y', adapterId: "z" });
    expect(cache.match(request(range(9), { cacheSalt: "x", adapterId: 'y","z' }))).toEqual([]);
  });

  test("a request that needs logits of its whole prompt skips the lookup and is not counted", () => {
    const { cache, request, stored } = setUp();
    stored(range(8));
    const scored = request(range(9), { promptLogits: true });
    expect(cache.match(scored)).toEqual([]);
    cache.recordLookup(scored, 0);
    expect(cache.stats.queries).toBe(0);
    scored.logitsPlanned = 9;
    expect(cache.match(scored)).toHaveLength(2);
  });

  test("hashes that collide do not hit: the tokens are compared", () => {
    const { cache, request, stored } = setUp(20, () => "the same for all");
    const owner = stored(range(4));
    expect(cache.match(request(range(5)))).toEqual(owner.pages);
    expect(cache.match(request(range(5, 7)))).toEqual([]);
  });
});

describe("register", () => {
  test("of two copies of a page the first stays registered, the second stays plain", () => {
    const { pool, cache, request, stored } = setUp();
    const first = stored(range(8));
    const second = stored(range(8));
    expect(cache.match(request(range(9)))).toEqual(first.pages);
    expect(second.pages.some((page) => pool.isCached(page))).toBe(false);
    pool.release(second.pages);
    expect(pool.cached).toBe(0);
    expect(cache.findProblems()).toEqual([]);
  });

  test("generated tokens extend the chain of the prompt", () => {
    const { pool, cache, request, stored } = setUp();
    const owner = stored(range(6));
    for (const id of [6, 7]) owner.tokens.push(id);
    owner.pages.push(pool.allocate());
    cache.register(owner, 1);
    expect(cache.match(request(range(9)))).toEqual(owner.pages);
  });
});

test("an evicted page is forgotten, and with it all pages behind it", () => {
  const { pool, cache, request, stored } = setUp(4);
  const owner = stored(range(12));
  pool.release(owner.pages);
  expect(cache.match(request(range(13)))).toEqual(owner.pages);
  expect(pool.allocate()).toBe(owner.pages[2]);
  expect(cache.match(request(range(13)))).toEqual(owner.pages.slice(0, 2));
  pool.allocate();
  pool.allocate();
  expect(cache.match(request(range(13)))).toEqual([]);
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
