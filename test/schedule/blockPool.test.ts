// Contract: every block is free, cached or used; counts are exact; the block idle longest goes first, the tail of a sequence
// before its head; a double free is an error, never a second owner.
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../lib/schedule/blockPool.js";
import { firstSeed } from "../support/seed.js";
import { Random } from "./random.js";

const allocateAll = (pool: BlockPool) => Array.from({ length: pool.available }, () => pool.allocate());
const problemsOf = (pool: BlockPool, tables: number[][]) => {
  try {
    pool.checkIntegrity(tables);
    return "";
  } catch (error) {
    expect(error).toMatchObject({ code: "ERR_INTEGRITY" });
    return (error as Error).message;
  }
};

test("hands out every block but the dummy block, once", () => {
  const pool = new BlockPool(5);
  expect(pool.available).toBe(4);
  expect(allocateAll(pool)).toEqual([1, 2, 3, 4]);
  expect(pool).toMatchObject({ available: 0, used: 4, cached: 0 });
  expect(() => pool.allocate()).toThrow(expect.objectContaining({ code: "ERR_INTERNAL" }));
});

test("free blocks are reused before cached ones, however long those have been idle", () => {
  const pool = new BlockPool(4);
  const [cached, plain] = [pool.allocate(), pool.allocate()];
  pool.markCached(cached);
  pool.release([cached]);
  pool.release([plain]);
  expect(pool).toMatchObject({ available: 3, cached: 1, used: 0 });
  expect(allocateAll(pool)).toEqual([plain, 3, cached]);
});

test("of one sequence the tail is evicted before the head, and older sequences before newer ones", () => {
  const evicted: number[] = [];
  const pool = new BlockPool(7, (block) => evicted.push(block));
  const blocks = allocateAll(pool);
  for (const block of blocks) pool.markCached(block);
  pool.release(blocks.slice(0, 3));
  pool.release(blocks.slice(3));
  expect(allocateAll(pool)).toEqual([3, 2, 1, 6, 5, 4]);
  expect(evicted).toEqual([3, 2, 1, 6, 5, 4]);
});

test("a cached block is pulled from the middle of the free list", () => {
  const pool = new BlockPool(6);
  const blocks = allocateAll(pool);
  for (const block of blocks) pool.markCached(block);
  pool.release(blocks);
  pool.retain(3);
  pool.retain(3);
  expect(pool.references(3)).toBe(2);
  pool.checkIntegrity([[3], [3]]);
  expect(allocateAll(pool)).toEqual([5, 4, 2, 1]);
  pool.release([3]);
  expect(pool.available).toBe(0);
  pool.release([3]);
  expect(pool.available).toBe(1);
});

describe("misuse is an error", () => {
  test("double free", () => {
    const pool = new BlockPool(3);
    const block = pool.allocate();
    pool.release([block]);
    expect(() => pool.release([block])).toThrow(/released but nobody holds it/);
    pool.checkIntegrity([]);
  });

  test("freeing the dummy block", () => {
    expect(() => new BlockPool(3).release([0])).toThrow(/block 0/);
  });

  test("retaining a block that nobody holds and that is not cached", () => {
    expect(() => new BlockPool(3).retain(1)).toThrow(/neither held nor cached/);
  });

  test("caching a block that nobody holds", () => {
    expect(() => new BlockPool(3).markCached(1)).toThrow(/nobody holds it/);
  });
});

describe("checkIntegrity", () => {
  test("names blocks whose tables and counts disagree", () => {
    const pool = new BlockPool(4);
    const block = pool.allocate();
    expect(problemsOf(pool, [[block]])).toBe("");
    expect(problemsOf(pool, [])).toContain("block 1 has 1 references, the tables say 0");
    expect(problemsOf(pool, [[block], [block]])).toContain("block 1 has 1 references, the tables say 2");
    expect(problemsOf(pool, [[block], [2]])).toContain("block 2 has 0 references, the tables say 1");
  });

  test("names entries that are no block of the pool", () => {
    expect(problemsOf(new BlockPool(4), [[0, 7]])).toMatch(/lists block 0.*lists block 7/);
  });
});

test("random operations keep the pool consistent", () => {
  for (let seed = firstSeed; seed < firstSeed + 50; seed++) {
    const random = new Random(seed);
    const cached = new Set<number>();
    const pool = new BlockPool(random.between(2, 40), (block) => cached.delete(block));
    const tables: number[][] = [];
    for (let i = 0; i < 200; i++) {
      const table = random.chance(0.3) || tables.length === 0 ? [] : random.pick(tables);
      if (table.length === 0) tables.push(table);
      const shared = random.pick([...cached, 0]);
      if (shared > 0 && random.chance(0.3)) table.push((pool.retain(shared), shared));
      else if (pool.available > 0 && random.chance(0.6)) table.push(pool.allocate());
      else pool.release(tables.splice(tables.indexOf(table), 1)[0]!);
      const last = tables.at(-1)?.at(-1);
      if (last !== undefined && random.chance(0.5)) cached.add((pool.markCached(last), last));
      pool.checkIntegrity(tables);
    }
    for (const table of tables) pool.release(table);
    pool.checkIntegrity([]);
    expect(pool).toMatchObject({ used: 0, cached: cached.size });
  }
});
