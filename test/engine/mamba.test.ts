// Contract: Mamba-2, whose layers keep nothing but slots, goes through the engine: a request gives the same tokens and log
// probabilities alone, in chunks that end anywhere, batched, padded to a captured graph, waiting for memory, begun from a copy of its state in
// the prefix cache. On the CPU bit for bit; on a GPU the products around the scan depend on how many rows there are.
import { describe, expect, it } from "vitest";
import type { TokenLogprob } from "../../lib/llm/output.js";
import { type BareAsk, BareEngine, type BareOptions } from "../llm/bareEngine.js";
import { goldenFolder } from "../llm/checkpoints.js";
import { openTestDevice } from "../support/devices.js";
import { readGolden } from "../support/goldens.js";
import { poisonFree } from "../support/poisonFree.js";

async function isSimt(): Promise<boolean> {
  await using device = openTestDevice();
  return device.name === "simt";
}
const simt = await isSimt();

const size = { pageSize: 4, maxSequences: 5, maxStepTokens: 24, contextLength: 128, pages: 60 };
const { sequences } = await readGolden("mamba2");
const [{ tokens: short }, { tokens: long }] = [sequences[0]!, sequences[1]!];
const most = simt ? 5 : 24;

/** Prompts of several lengths, cut out of the golden's. */
const asks: readonly BareAsk[] = [short, long.slice(0, 61), long.slice(7, 10), short.slice(0, 17), [5]]
  .slice(0, simt ? 3 : 5)
  .map((prompt, i) => ({
    prompt: simt ? prompt.slice(0, 18 + i) : prompt,
    options: { maxTokens: most - i, logprobs: 2, ignoreEos: true },
  }));

interface Result {
  readonly tokenIds: readonly number[];
  readonly logprobs: readonly TokenLogprob[] | undefined;
}

async function run(all: readonly BareAsk[], options: Partial<BareOptions> = {}, isTogether = true) {
  const engine = await BareEngine.open(goldenFolder("mamba2"), {
    ...{ ...size, dtype: "f32", prefixCache: false, ...options },
  });
  return engine.runAll(all, { isTogether });
}

function expectSameResults(actual: readonly Result[], expected: readonly Result[], what = ""): void {
  if (!simt) return expect(actual, what).toEqual(expected);
  expect(
    actual.map(({ tokenIds }) => tokenIds),
    what,
  ).toEqual(expected.map(({ tokenIds }) => tokenIds));
  const values = (results: readonly Result[]) =>
    results.flatMap(({ logprobs }) => logprobs!.map(({ logprob }) => logprob));
  const wanted = values(expected);
  values(actual).forEach((value, i) => expect(Math.abs(value - wanted[i]!), what).toBeLessThan(1e-4));
}

describe("Mamba-2 in the engine", { timeout: 300_000 }, () => {
  it("the golden's greedy continuation", async () => {
    const ids = sequences[0]!.continuation!.slice(0, simt ? 3 : 16);
    const { results } = await run([{ prompt: short, options: { maxTokens: ids.length } }]);
    expect(results[0]!.tokenIds).toEqual(ids);
  });

  const dtypes = simt ? (["f32"] as const) : (["f32", "bf16"] as const);
  it.each(dtypes)("%s: batched, in chunks that end anywhere, with and without graphs", async (dtype) => {
    const alone = await run(asks, { dtype }, false);
    const forms = simt
      ? [{ chunkTokens: 7 }]
      : [{}, { chunkTokens: 7 }, { chunkTokens: 1 }, { graphs: false }];
    for (const options of forms) {
      const together = await run(asks, { dtype, ...options });
      expectSameResults(together.results, alone.results, JSON.stringify(options));
    }
  });

  it("a slot begins from nothing, and free memory may hold anything", async () => {
    const expected = await run(asks);
    const poison = poisonFree();
    const poisoned = await run(asks, { maxSequences: 2, afterStep: poison }); // others begin where the first have ended
    expectSameResults(poisoned.results, expected.results);
    expect(poison.count).toBeGreaterThan(0);
  });

  it("in a pool that has room for two at a time", async () => {
    const expected = await run(asks);
    // Slots never grow: who has them runs to its end, and others wait. Preempted is who has pages, too: slots.test.ts.
    const small = await run(asks, { pages: 4, afterStep: poisonFree() });
    expectSameResults(small.results, expected.results);
    expect(small.stats.usedPages).toBe(0);
  });

  it("begun from copies of its state in the prefix cache", async () => {
    const { prompt, options } = asks[0]!;
    const all = [asks[0]!, { prompt: [...prompt, 5, 6, 7], options }, asks[0]!];
    const expected = await run(all);
    const found = await run(all, { prefixCache: true }, false);
    expectSameResults(found.results, expected.results);
    const border = prompt.length - 1 - ((prompt.length - 1) % size.pageSize);
    expect(found.stats.prefix.hits).toBe(2 * border);
    const together = await run(all, { prefixCache: true, pages: 8 });
    expectSameResults(together.results, expected.results);
  });
});
