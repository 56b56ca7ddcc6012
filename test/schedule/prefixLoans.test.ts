// Contract: blocks that are lent are nobody else's, count as held, and are cached again when they are back; what is promised to requests is
// not lent; what the cache has forgotten meanwhile is known to be invalid; an engine whose only request finds too few blocks waits.
import { expect, test } from "vitest";
import { greedySpec } from "../../lib/engine/requestSpec.js";
import { CapacityError } from "../../lib/errors.js";
import { KvPages } from "../../lib/schedule/kvPages.js";
import { Request } from "../../lib/schedule/request.js";
import { resolveSchedulerOptions, type SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import { Recorder, StubRunner } from "../llm/bareEngine.js";

function makeKv(options: Partial<SchedulerOptions> = {}): KvPages {
  const defaults = { pageSize: 4, admission: "optimistic", prefixCache: true, numBlocks: 21 } as const;
  const sizes = { maxSequences: 4, maxStepTokens: 64, maxModelLen: 256 };
  return new KvPages(resolveSchedulerOptions({ ...defaults, ...sizes, ...options }));
}

const request = (length: number, from = 0, maxTokens = 8): Request => {
  const tokens = Array.from({ length }, (_, i) => from + i);
  return Object.assign(new Request(`r${from}`, tokens, { maxTokens }), { maxLength: length + maxTokens });
};

/** Runs a request to its end. */
function run(kv: KvPages, one: Request): void {
  expect(kv.admit(one, 0)).toBe(true);
  one.cachedLen = one.tokens.length;
  kv.seal(one);
  kv.release(one);
}

const slots = {
  groups: [
    { window: 0, pagesPerBlock: 1 },
    { window: 9, pagesPerBlock: 2 },
  ],
  slotLayers: 2,
};

test.each([{}, slots])("what is taken and registered is found, in all groups and slots: %o", (options) => {
  const kv = makeKv(options);
  const loans = kv.loans!;
  const written = loans.take(request(17), 16);
  expect(loans.isLending).toBe(true);
  expect(written.blocks.map(({ length }) => length)).toEqual(written.blocks.length === 1 ? [4] : [4, 1]);
  expect(new Set([...written.blocks.flat(), ...written.slot]).size).toBe(kv.stats.usedPages);
  kv.checkIntegrity([]);
  expect(loans.lengthOf(request(17))).toBe(0);
  loans.register(written);
  loans.giveBack(written);
  loans.giveBack(written); // harmless
  kv.checkIntegrity([]);
  expect(kv.stats).toMatchObject({ usedPages: 0 });

  const found = request(20);
  expect(kv.admit(found, 0)).toBe(true);
  expect(found.cachedLen).toBe(16);
  expect(kv.endStep().beforeModel.map(({ from }) => from)).toEqual([...written.slot]);
  kv.checkIntegrity([found]);
});

test("what is lent is not handed out until it is back", () => {
  const kv = makeKv();
  run(kv, request(40));
  const loan = kv.loans!.lend(request(41));
  expect(loan).toMatchObject({ length: 40 });
  kv.checkIntegrity([]);
  const other = request(48, 100);
  expect(kv.admit(other, 0)).toBe(false);
  expect(kv.loans!.isValid(loan)).toBe(true);
  kv.loans!.giveBack(loan);
  expect(kv.admit(other, 0)).toBe(true);
  kv.checkIntegrity([other]);
  expect(kv.loans!.isValid(loan)).toBe(false);
});

test("what is promised to requests is not lent", () => {
  const kv = makeKv({ admission: "reserve" });
  run(kv, request(40, 0, 1));
  const running = request(20, 100, 40);
  expect(kv.admit(running, 0)).toBe(true); // owns 5 of 20, is owed 15
  expect(() => kv.loans!.lend(request(41))).toThrow(CapacityError);
  expect(() => kv.loans!.take(request(9, 200), 24)).toThrow("takes 6 KV pages, 5 are free now");
  const loan = kv.loans!.take(request(9, 200), 20);
  kv.checkIntegrity([running]);
  expect(kv.extend(running, 39)).toBe(true);
  kv.loans!.giveBack(loan);
  kv.checkIntegrity([running]);
});

test("what is in doubt is forgotten although it is lent", () => {
  const kv = makeKv();
  run(kv, request(40));
  const loan = kv.loans!.lend(request(41));
  kv.forget();
  expect(kv.loans!.isValid(loan)).toBe(false);
  kv.loans!.giveBack(loan);
  expect(kv.loans!.lengthOf(request(41))).toBe(0);
  kv.checkIntegrity([]);
});

test("an engine waits for what is lent, and goes on when it is back", async () => {
  const runner = new StubRunner();
  const engine = runner.engine();
  const loan = engine.loans!.take(request(1001), 1000);
  const recorder = new Recorder();
  engine.add(request(60, 2000, 1), greedySpec(1), recorder);
  await new Promise(setImmediate);
  expect(engine.stats).toMatchObject({ state: "running", waiting: 1, running: 0 });
  engine.loans!.giveBack(loan);
  await new Promise(setImmediate);
  expect(engine.stats).toMatchObject({ running: 1 });
  runner.settle(0);
  await new Promise(setImmediate);
  expect(recorder).toMatchObject({ tokens: [7], ends: ["length"] });
  await engine.close();
});
