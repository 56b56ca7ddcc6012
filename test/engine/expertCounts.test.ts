// Contract: the counts of experts are those of the tokens that the engine has run, no padding among them, in captured
// steps and others, batched, preempted and behind a found prefix; they change no token and are off unless asked for.
import { describe, expect, it } from "vitest";
import { wideCounts } from "../../lib/engine/expertCounts.js";
import { LLM } from "../../lib/llm/llm.js";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import { Random } from "../support/random.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const experts = { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 12, norm_topk_prob: true };
const sparse = tinyConfig("Qwen3MoeForCausalLM", { ...experts, mlp_only_layers: [1], num_hidden_layers: 3 });
const sparseLayers = [0, 2];
const prompt = (length: number): number[] => [...new Random(length).tokenIds(length, sparse.vocab_size)];

async function load(options: LLMOptions = {}): Promise<LLM> {
  const folder = await writeCheckpoint(sparse, tinyTensors(sparse));
  return LLM.load(folder, { dtype: "f32", contextLength: 96, ...options });
}

/** Once the results of the last step are out. */
async function computedTokens(llm: LLM): Promise<number> {
  while (llm.stats().stepsInFlight > 0) await new Promise(setImmediate);
  return llm.stats().computedTokens;
}

const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

describe("expertLoad", () => {
  const long = { maxTokens: 40, ignoreEos: true, temperature: 0 };

  it.each([{ graphs: true }, { graphs: false }])(
    "is the routing of the tokens that ran, %o",
    async (options) => {
      await using llm = await load({ ...options, expertCounts: true });
      const [ids, expected] = [
        prompt(21),
        new Map(sparseLayers.map((layer) => [layer, new Array<number>(6).fill(0)])),
      ];
      const { tokenIds } = await llm.generate(ids, long).result();
      const ran = [...ids, ...tokenIds.slice(0, -1)]; // the last one is never run
      expect(await computedTokens(llm)).toBe(ran.length);
      const routed = await llm.routing(ran);
      for (const layer of sparseLayers) for (const expert of routed[layer]!) expected.get(layer)![expert]!++;
      const loads = await llm.expertLoad();
      expect(loads.map(({ layer, counts }) => [layer, counts])).toEqual([...expected]);
      for (const { counts, entropy, busiestShare } of loads) {
        const shares = counts.map((count) => count / sum(counts));
        expect(busiestShare).toBe(Math.max(...shares));
        expect(entropy).toBeCloseTo(
          -sum(shares.map((share) => (share > 0 ? share * Math.log2(share) : 0))),
          12,
        );
      }
    },
  );

  it("has no padding of batches, and what is preempted counts again", async () => {
    const prompts = [3, 17, 30, 8, 21].map(prompt);
    await using plenty = await load({ expertCounts: true });
    const expected = await plenty.generateAll(prompts, long);
    // 5 requests of up to 70 tokens: a step of 5 is padded to 8, and the pages do not suffice for all.
    const pageBytes = 16 * 3 * 2 * 2 * 16 * 4;
    await using tight = await load({ expertCounts: true, kvCacheBytes: 10 * pageBytes, prefixCache: false });
    const actual = await tight.generateAll(prompts, long);
    expect(actual.map(({ tokenIds }) => tokenIds)).toEqual(expected.map(({ tokenIds }) => tokenIds));
    expect(plenty.stats().preemptions).toBe(0);
    expect(tight.stats().preemptions).toBeGreaterThan(0);
    for (const llm of [plenty, tight]) {
      const tokens = await computedTokens(llm);
      for (const { counts } of await llm.expertLoad()) expect(sum(counts)).toBe(2 * tokens);
    }
  });

  it("leaves out what a found prefix saves", async () => {
    await using llm = await load({ expertCounts: true });
    const tokensOf = async (): Promise<number> => sum((await llm.expertLoad())[0]!.counts) / 2;
    await llm.generate(prompt(50), { maxTokens: 1 }).result();
    await computedTokens(llm);
    expect(await tokensOf()).toBe(50);
    await llm.generate(prompt(50), { maxTokens: 1 }).result();
    expect(llm.stats().prefix.hits).toBeGreaterThan(0);
    expect(await tokensOf()).toBe(await computedTokens(llm));
  });

  it("is refused without the option, and changes no token", async () => {
    await using without = await load();
    await using counting = await load({ expertCounts: true });
    expect(without.stats().experts).toBe(null);
    await expect(without.expertLoad()).rejects.toThrow(
      "expertLoad: expected a model that is loaded with expertCounts: true",
    );
    const options = { maxTokens: 20, ignoreEos: true, seed: 3, temperature: 1 };
    const [first, second] = await Promise.all(
      [without, counting].map((llm) => llm.generate(prompt(12), options).result()),
    );
    expect(second!.tokenIds).toEqual(first!.tokenIds);
    expect(without.stats().experts).toBe(null);
    await counting.close();
    await expect(counting.expertLoad()).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });
});

describe("stats().experts", () => {
  it("is what the call before has asked for", async () => {
    await using llm = await load({ expertCounts: true });
    expect(llm.stats().experts).toBe(null);
    await llm.generate(prompt(30), { maxTokens: 1 }).result();
    await computedTokens(llm); // asks, once more behind the last step
    const exact = await llm.expertLoad();
    expect(llm.stats().experts).toEqual(exact);
    await llm.close();
    expect(llm.stats().experts).toEqual(exact);
  });

  it("is empty for a model without experts", async () => {
    const dense = tinyConfig("LlamaForCausalLM");
    const folder = await writeCheckpoint(dense, tinyTensors(dense));
    await using llm = await LLM.load(folder, { expertCounts: true });
    await llm.generate([1, 2, 3], { maxTokens: 2 }).result();
    expect(await llm.expertLoad()).toEqual([]);
    expect(llm.stats().experts).toEqual([]);
  });
});

it("halves become numbers beyond 32 bits", () => {
  expect(wideCounts(Int32Array.of(5, 0, -1, 0, -2, 3))).toEqual([5, 2 ** 32 - 1, 3 * 2 ** 32 + 2 ** 32 - 2]);
});
