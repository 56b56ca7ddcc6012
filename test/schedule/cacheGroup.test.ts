// Contract: a group of a window holds the blocks that its next tokens see and no more; a prefix is found when every group has what
// it needs behind it; what a request needs at its longest is known from its length.
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../lib/schedule/blockPool.js";
import { CacheGroup, longestSequence, peakBlocks } from "../../lib/schedule/cacheGroup.js";
import { KvPages } from "../../lib/schedule/kvPages.js";
import { PrefixCache } from "../../lib/schedule/prefixCache.js";
import { Request } from "../../lib/schedule/request.js";
import { resolveSchedulerOptions, type SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";

const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);
/** Blocks of 2 pages of 2 tokens. */
const group = (window: number, chunkTokens = 3) =>
  new CacheGroup(0, { window, pagesPerBlock: 2 }, 2, chunkTokens);

describe("arithmetic", () => {
  test.each([
    { window: 0, firsts: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0] },
    { window: 1, firsts: [0, 0, 0, 0, 1, 1, 1, 1, 2, 2] }, // only itself
    { window: 2, firsts: [0, 0, 0, 0, 0, 1, 1, 1, 1, 2] },
    { window: 5, firsts: [0, 0, 0, 0, 0, 0, 0, 0, 1, 1] },
  ])("window $window: the first block that a token sees", ({ window, firsts }) => {
    expect(range(10).map((start) => group(window).firstBlock(start))).toEqual(firsts);
  });

  test("a chunk never sees more blocks than `mostBlocks`, and sees as many somewhere", () => {
    for (const window of range(12, 1)) {
      for (const chunk of range(6, 1)) {
        const one = group(window, chunk);
        const seen = range(40).map((start) => one.blocksFor(start + chunk) - one.firstBlock(start));
        expect(Math.max(...seen), `window ${window}, chunk ${chunk}`).toBe(one.mostBlocks);
      }
    }
  });

  test("the longest sequence is the one whose peak just fits", () => {
    const groups = [group(0), group(5)];
    for (const blocks of range(20)) {
      const longest = longestSequence(groups, blocks, 50);
      expect(peakBlocks(groups, longest)).toBeLessThanOrEqual(blocks);
      if (longest < 50) expect(peakBlocks(groups, longest + 1)).toBeGreaterThan(blocks);
    }
    expect(longestSequence([group(5)], 3, 50)).toBe(50);
    expect(longestSequence([group(0)], 0, 50)).toBe(0);
  });
});

function makeKv(options: Partial<SchedulerOptions> = {}): KvPages {
  return new KvPages(
    resolveSchedulerOptions({
      ...{ maxSequences: 4, maxStepTokens: 4, maxModelLen: 256, pageSize: 2, numBlocks: 40 },
      ...{ admission: "optimistic", prefixCache: true, ...options },
      groups: options.groups ?? [
        { window: 0, pagesPerBlock: 1 },
        { window: 5, pagesPerBlock: 2 },
      ],
    }),
  );
}

let ids = 0;
function makeRequest(tokens: number[], maxTokens = 8): Request {
  const request = new Request(`r${ids++}`, tokens, { maxTokens });
  return Object.assign(request, { maxLength: tokens.length + maxTokens });
}

/** Runs all known tokens, in chunks. */
function prefill(kv: KvPages, request: Request, chunk = 4): void {
  while (request.cachedLen < request.tokens.length) {
    const count = Math.min(chunk, request.tokens.length - request.cachedLen);
    expect(kv.extend(request, count)).toBe(true);
    request.cachedLen += count;
    kv.seal(request);
    kv.checkIntegrity([request]);
  }
}

test("a prefill lets go of what lies behind the window, and needs no more than it held at first", () => {
  const kv = makeKv();
  const request = makeRequest(range(30));
  expect(kv.admit(request, 0)).toBe(true);
  const held = () => request.held.map(({ first, blocks }) => [first, first + blocks.length]);
  expect(held()).toEqual([
    [0, 15],
    [0, 3],
  ]);
  const { usedPages } = kv.stats;
  prefill(kv, request);
  expect(held()).toEqual([
    [0, 15],
    [6, 8], // the last chunk began at token 28 and sees those from 24 on
  ]);
  expect(kv.stats.usedPages).toBeLessThanOrEqual(usedPages);
  kv.release(request);
  expect(kv.stats).toMatchObject({ usedPages: 0, cachedPages: 15 + 7 });
});

test("a prefix is found without the blocks that its window no longer sees", () => {
  const kv = makeKv();
  const first = makeRequest(range(30));
  kv.admit(first, 0);
  prefill(kv, first);
  const own = first.held.map(({ blocks }) => blocks);
  kv.release(first);
  const second = makeRequest(range(40));
  expect(kv.admit(second, 0)).toBe(true);
  // 30 tokens are there, but a block of the window has 4; behind token 28 it sees those from 24 on.
  expect(second).toMatchObject({ cachedLen: 28, held: [{ first: 0 }, { first: 6 }] });
  expect(second.held[0]!.blocks.slice(0, 14)).toEqual(own[0]!.slice(0, 14));
  expect(second.held[1]!.blocks[0]).toBe(own[1]![0]);
  kv.checkIntegrity([second]);
});

describe("a block that is missing shortens the prefix for all groups, until each has what it needs", () => {
  // Blocks of 2 tokens that stay, blocks of 4 of a window of 5; 21 tokens are known.
  test.each([
    { missing: "nothing", kept: [], windowed: [], length: 20 },
    { missing: "the last of the window", kept: [], windowed: [4], length: 16 },
    { missing: "all behind the window", kept: [], windowed: [0, 1, 2, 3], length: 20 },
    { missing: "one that stays", kept: [7], windowed: [], length: 12 },
    { missing: "one that stays, and what the window would then see", kept: [7], windowed: [2], length: 8 },
    { missing: "that, and the next", kept: [7], windowed: [1, 2], length: 4 },
    { missing: "the first", kept: [0], windowed: [], length: 0 },
    { missing: "the window's first and last", kept: [], windowed: [0, 4], length: 16 },
    { missing: "the whole window", kept: [], windowed: [0, 1, 2, 3, 4], length: 0 },
  ])("$missing", ({ kept, windowed, length }) => {
    const pool: BlockPool = new BlockPool(20, (block) => cache.evict(block));
    const groups = [0, 5].map((window, i) => new CacheGroup(i, { window, pagesPerBlock: i + 1 }, 2, 4));
    const cache: PrefixCache = new PrefixCache(pool, { pageSize: 2, groups, slotLayers: 0 });
    const owner = makeRequest(range(20));
    owner.held = groups.map((one) => {
      const blocks = range(one.blocksFor(20)).map(() => pool.allocate());
      return { first: 0, blocks, sealed: 0, listed: 0 };
    });
    for (const [i, missing] of [kept, windowed].entries()) {
      for (const index of owner.held[i]!.blocks.keys())
        if (!missing.includes(index)) cache.register(owner, groups[i]!, index);
    }
    const found = cache.match(makeRequest(range(21)));
    expect(found.length).toBe(length);
    const [all, seen] = owner.held.map(({ blocks }) => blocks) as [number[], number[]];
    const first = Math.floor(Math.max(0, length - 4) / 4);
    expect(found.blocks).toEqual([all.slice(0, length / 2), seen.slice(first, length / 4)]);
  });
});

test('"reserve" keeps its promise when a request holds what the window of another lets go of', () => {
  const options = { admission: "reserve", groups: [{ window: 5, pagesPerBlock: 2 }] } as const;
  const kv = makeKv({ ...options, numBlocks: 1 + 6 });
  const first = makeRequest(range(12), 30);
  expect(kv.admit(first, 0)).toBe(true);
  prefill(kv, first);
  // Its peak is 3 blocks; the second finds the last of them, and is promised 3 as well.
  const second = makeRequest(range(13), 30);
  expect(kv.admit(second, 1)).toBe(true);
  expect(second.cachedLen).toBe(12);
  expect(kv.admit(makeRequest([7]), 2)).toBe(false);
  for (let i = 0; i < 29; i++) {
    for (const request of [first, second]) {
      expect(kv.extend(request, 1)).toBe(true);
      request.cachedLen += 1;
      kv.checkIntegrity([first, second]);
    }
  }
});
