// Contract: the same request gives the same tokens and log probabilities bit for bit, whatever runs beside it and however
// the engine is set up: batches, prefix cache, preemption, reservation, graphs, threads, step and page sizes.
import { beforeAll, describe, expect, it } from "vitest";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import type { GenerateResult } from "../../lib/llm/generationStream.js";
import { Random } from "../schedule/random.js";
import {
  type Ask,
  ask,
  bytesOfPages,
  essence,
  goldenFolder,
  modelFolder,
  randomPrompt,
  textGoldens,
  withLLM,
} from "./checkpoints.js";

/** How requests are drawn. Seeds are fixed: without one a request draws its own. */
const styles: readonly GenerateOptions[] = [
  { temperature: 0 },
  { temperature: 0.9, topK: 40, topP: 0.95, seed: 7 },
  { temperature: 1.3, minP: 0.02, repetitionPenalty: 1.2, frequencyPenalty: 0.3, seed: 2 ** 45 + 3 },
  { temperature: 0, presencePenalty: 1, logprobs: 3, promptLogprobs: 2 },
  { temperature: 1, seed: 0, logprobs: 0, logitBias: { 11: 4, 12: -Infinity }, minTokens: 5 },
  { temperature: 0.7, seed: 12, n: 2 },
];

/** Requests that start alike in pairs, so that prefixes are shared. */
function randomAsks(seed: number, count: number, maxPrompt: number): Ask[] {
  const random = new Random(seed);
  const common = randomPrompt(random, maxPrompt);
  return Array.from({ length: count }, (_, i) => {
    const shared = random.chance(0.5) ? random.between(1, maxPrompt - 10) : 0;
    const own = randomPrompt(random, random.between(1, maxPrompt - shared));
    const maxTokens = random.between(20, 45);
    const options = { ignoreEos: true, ...styles[i % styles.length]!, maxTokens };
    return { prompt: [...common.slice(0, shared), ...own], options };
  });
}

/** Engines that must agree with one that runs a request at a time. */
const engines: readonly { readonly name: string; readonly options: LLMOptions; readonly pages?: number }[] = [
  { name: "all at once", options: {} },
  { name: "without graphs and prefix cache", options: { graphs: false, prefixCache: false } },
  { name: "one thread", options: { threads: 1 } },
  { name: "two threads, small steps", options: { threads: 2, maxStepTokens: 17, maxSequences: 5 } },
  { name: "odd pages", options: { pageSize: 3, maxSequences: 7 } },
  { name: "preempted", options: { maxStepTokens: 64, maxSequences: 8 }, pages: 14 },
  {
    name: "preempted without prefix cache",
    options: { maxStepTokens: 64, maxSequences: 8, prefixCache: false },
    pages: 14,
  },
  { name: "reserved", options: { admission: "reserve", maxSequences: 8 }, pages: 14 },
];

const models = [
  { name: "goldens/qwen3_moe in f32", folder: goldenFolder("qwen3_moe"), dtype: "f32" as const },
  { name: "goldens/qwen3 in bf16", folder: goldenFolder("qwen3"), dtype: "bf16" as const },
  { name: "goldens/gpt2 in f32", folder: goldenFolder("gpt2"), dtype: "f32" as const },
];

describe.each(models)("$name", ({ folder, dtype }) => {
  const asks = randomAsks(5, 18, 60);
  let alone: ReturnType<typeof essence>[];
  let pageBytes: number;

  beforeAll(async () => {
    const options = { dtype, maxSequences: 2, threads: 1, prefixCache: false, graphs: false };
    alone = await withLLM(folder, options, async (llm) => {
      pageBytes = bytesOfPages(llm, 0);
      const results: GenerateResult[] = [];
      for (const one of asks) results.push(...(await ask(llm, [one])));
      return results.map(essence);
    });
  });

  it.each(engines)("$name", async ({ options, pages }) => {
    const kvCacheBytes = pages === undefined ? undefined : (pages + 1) * pageBytes;
    await withLLM(folder, { dtype, ...options, ...(kvCacheBytes && { kvCacheBytes }) }, async (llm) => {
      expect((await ask(llm, asks)).map(essence)).toEqual(alone);
      const again = await ask(llm, [...asks].reverse()); // other neighbours, and prefixes in the cache
      expect(again.map(essence)).toEqual([...alone].reverse());
      const { preemptions, prefix } = llm.stats();
      expect(preemptions > 0).toBe(pages !== undefined && options.admission !== "reserve");
      expect(prefix.hits > 0).toBe(options.prefixCache !== false);
    });
  });
});

describe("models/tiny-moe", () => {
  const prompts = textGoldens("tiny-moe").map(({ prompt }) => prompt);

  it.each(["f32", "bf16"] as const)(
    "sampled texts are the same alone and in a batch, in %s",
    async (dtype) => {
      const options = { temperature: 1, topP: 0.98, seed: 4, maxTokens: 40, logprobs: 2 };
      const asks = prompts.slice(0, 12).map((prompt, i) => ({ prompt, options: { ...options, seed: i } }));
      const together = await withLLM(modelFolder("tiny-moe"), { dtype }, (llm) => ask(llm, asks));
      await withLLM(modelFolder("tiny-moe"), { dtype, prefixCache: false }, async (llm) => {
        for (const [i, one] of asks.entries()) {
          const [result] = await ask(llm, [one]);
          expect(essence(result!)).toEqual(essence(together[i]!));
        }
      });
    },
  );
});

describe("n continuations", () => {
  it("equal separate requests with seed + i", async () => {
    await withLLM(goldenFolder("llama"), { dtype: "f32" }, async (llm) => {
      const prompt = randomPrompt(new Random(3), 20);
      const options = { temperature: 1, maxTokens: 12, logprobs: 1, ignoreEos: true };
      const seed = 2 ** 32 - 2; // the sum crosses the words of the key
      const { choices } = await llm.generate(prompt, { ...options, n: 4, seed }).result();
      expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
      for (const choice of choices) {
        const separate = await llm.generate(prompt, { ...options, seed: seed + choice.index }).result();
        expect(choice).toEqual({ ...separate.choices[0], index: choice.index });
      }
      expect(new Set(choices.map(({ tokenIds }) => tokenIds.join())).size).toBe(4);
    });
  });

  it("differ from call to call without a seed", async () => {
    await withLLM(goldenFolder("llama"), {}, async (llm) => {
      const draw = () => llm.generate([1, 2, 3], { temperature: 1, maxTokens: 12, ignoreEos: true }).result();
      expect((await draw()).tokenIds).not.toEqual((await draw()).tokenIds);
    });
  });
});
