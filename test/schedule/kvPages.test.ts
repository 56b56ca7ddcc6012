// Contract: a request is admitted only with pages for all its known tokens, shares what is cached, and "reserve" keeps its
// promise that a running request always finds its next page.
import { describe, expect, test } from "vitest";
import { KvPages } from "../../lib/schedule/kvPages.js";
import { Request, type RequestParams } from "../../lib/schedule/request.js";
import { resolveSchedulerOptions, type SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";

const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);

function makeKv(numBlocks: number, options: Partial<SchedulerOptions> = {}): KvPages {
  const defaults = { pageSize: 4, admission: "optimistic", prefixCache: true } as const;
  const sizes = { maxSequences: 4, maxStepTokens: 64, maxModelLen: 256, numBlocks };
  return new KvPages(resolveSchedulerOptions({ ...defaults, ...sizes, ...options }));
}

const blocksOf = (request: Request, group = 0) => request.held[group]?.blocks ?? [];

function makeRequest(tokens: number[], maxTokens = 8, params: Partial<RequestParams> = {}): Request {
  const request = new Request("r", tokens, { maxTokens, ...params });
  return Object.assign(request, { maxLength: tokens.length + maxTokens });
}

/** Runs and registers all known tokens. */
function prefill(kv: KvPages, request: Request): void {
  request.cachedLen = request.tokens.length;
  kv.seal(request);
}

test("lifetimeBlocks leaves out the last token, which is sampled but never run", () => {
  const kv = makeKv(10);
  expect(kv.lifetimeBlocks(makeRequest(range(4), 1))).toBe(1);
  expect(kv.lifetimeBlocks(makeRequest(range(4), 2))).toBe(2);
  expect(kv.capacity).toBe(9);
});

test("a request gets pages for all known tokens at once, and the cached prefix without running it", () => {
  const kv = makeKv(20);
  const first = makeRequest(range(10));
  expect(kv.admit(first, 0)).toBe(true);
  expect(first).toMatchObject({ cachedLen: 0, deviceLen: 10, hitLen: 0 });
  expect(blocksOf(first)).toHaveLength(3);
  prefill(kv, first);

  const second = makeRequest(range(10));
  expect(kv.admit(second, 1)).toBe(true);
  expect(second).toMatchObject({ cachedLen: 8, deviceLen: 10, hitLen: 8, held: [{ sealed: 2 }] });
  expect(blocksOf(second).slice(0, 2)).toEqual(blocksOf(first).slice(0, 2));
  expect(blocksOf(second)[2]).not.toBe(blocksOf(first)[2]);
  expect(kv.stats).toMatchObject({ usedPages: 4, prefix: { queries: 20, hits: 8 } });
  kv.checkIntegrity([first, second]);
});

test("a refused request changes nothing", () => {
  const kv = makeKv(4);
  const first = makeRequest(range(8));
  kv.admit(first, 0);
  const second = makeRequest(range(8, 50));
  expect(kv.admit(second, 1)).toBe(false);
  expect(second).toMatchObject({ held: [], cachedLen: 0, deviceLen: 0 });
  expect(kv.stats.prefix.queries).toBe(8);
  kv.checkIntegrity([first]);
});

test("cached pages that nobody holds are not counted twice: as a hit and as available", () => {
  const kv = makeKv(4);
  const first = makeRequest(range(12));
  kv.admit(first, 0);
  prefill(kv, first);
  kv.release(first);
  expect(kv.stats).toMatchObject({ cachedPages: 3, usedPages: 0 });
  // 2 hits + 2 new pages, but the hits leave only one page for the new ones.
  expect(kv.admit(makeRequest(range(13)), 0)).toBe(false);
  const fits = makeRequest(range(12));
  expect(kv.admit(fits, 0)).toBe(true);
  expect(fits.cachedLen).toBe(8);
  kv.checkIntegrity([fits]);
});

test('"optimistic" leaves one page per running request', () => {
  const kv = makeKv(6);
  expect(kv.admit(makeRequest(range(8)), 4)).toBe(false);
  expect(kv.admit(makeRequest(range(8)), 3)).toBe(true);
});

describe('"reserve"', () => {
  test("admits by lifetime, and the promised pages stay available", () => {
    const kv = makeKv(6, { admission: "reserve", prefixCache: false });
    const first = makeRequest(range(4), 9);
    const second = makeRequest(range(4), 9);
    expect(kv.admit(first, 0)).toBe(true);
    expect(kv.stats.usedPages).toBe(1);
    expect(kv.admit(second, 1)).toBe(false);
    Object.assign(first, { cachedLen: 4 });
    expect(kv.extend(first, 8)).toBe(true);
    expect(blocksOf(first)).toHaveLength(3);
    kv.checkIntegrity([first]);
    expect(kv.admit(second, 1)).toBe(false);
    kv.release(first);
    expect(kv.admit(second, 0)).toBe(true);
    kv.checkIntegrity([second]);
  });

  test("a request that ends early gives back what it was promised", () => {
    const kv = makeKv(4, { admission: "reserve" });
    for (let round = 0; round < 3; round++) {
      const request = makeRequest(range(4), 9);
      expect(kv.admit(request, 0)).toBe(true);
      kv.release(request);
      kv.checkIntegrity([]);
    }
  });
});

test("seal registers a page only when its ids are known and its KV is enqueued", () => {
  const kv = makeKv(20);
  const request = makeRequest(range(6));
  kv.admit(request, 0);
  const found = () => {
    const probe = makeRequest([...request.tokens, 1, 2, 3, 4]);
    kv.admit(probe, 0);
    kv.release(probe);
    return probe.hitLen;
  };
  kv.seal(request);
  expect(found()).toBe(0);
  Object.assign(request, { cachedLen: 9 });
  kv.seal(request);
  // Tokens 6 and 7 have been run but the host does not know them.
  expect(found()).toBe(4);
  for (const id of [6, 7]) request.tokens.push(id);
  kv.seal(request);
  expect(found()).toBe(8);
});

test("extend takes a block exactly where the next tokens need one", () => {
  const kv = makeKv(20);
  const request = makeRequest(range(3));
  kv.admit(request, 0);
  const sizes = [3, 4, 5, 7, 8].map((cachedLen) => {
    expect(kv.extend(Object.assign(request, { cachedLen }), 1)).toBe(true);
    return blocksOf(request).length;
  });
  expect(sizes).toEqual([1, 2, 2, 2, 3]);
});

test("the cost of a preemption leaves out pages that others hold, and is 0 when nothing is left to run", () => {
  const kv = makeKv(20);
  const first = makeRequest(range(10));
  kv.admit(first, 0);
  prefill(kv, first);
  Object.assign(first, { deviceLen: 11 });
  expect(kv.recomputeTokens(first)).toBe(10);
  const second = makeRequest(range(10));
  kv.admit(second, 1);
  expect(kv.recomputeTokens(first)).toBe(2);
  Object.assign(first, { deviceLen: first.maxLength });
  expect(kv.recomputeTokens(first)).toBe(0);
});

test("release replaces the page list, so that a planned step keeps its own", () => {
  const kv = makeKv(20);
  const request = makeRequest(range(8));
  kv.admit(request, 0);
  const planned = blocksOf(request);
  kv.release(request);
  expect(planned).toHaveLength(2);
  expect(request.held).toEqual([]);
});
