// Contract: a request whose logits are not finite, or that leaves no token to choose, ends with a typed error that says where;
// its pages are found by nobody, and what runs beside it goes on bit for bit. What it took from another's pages is computed anew.
import { beforeEach, describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import { RowStatus } from "../../lib/ops/rowStatus.js";
import { type TinyConfig, tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import { greedySpec, makeRequest } from "../../lib/engine/requestSpec.js";
import { BareEngine, Recorder, StubRunner } from "./bareEngine.js";
import { loadLLM } from "./checkpoints.js";

/** Its embedding is NaN: from where it stands on, every position of its sequence is. */
const broken = 36;
const vocabSize = 37;
const healthy = Array.from({ length: 20 }, (_, i) => (i * 7) % 30);

const sparse = { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 12, norm_topk_prob: true };
const models: readonly TinyConfig[] = [
  tinyConfig("LlamaForCausalLM"),
  tinyConfig("Qwen3MoeForCausalLM", sparse),
];

async function checkpoint(config: TinyConfig): Promise<string> {
  const tensors = tinyTensors(config);
  const { values, shape } = tensors.get("model.embed_tokens.weight")!;
  values.fill(NaN, broken * shape[1]!, (broken + 1) * shape[1]!);
  return writeCheckpoint(config, tensors);
}

const open = async (config: TinyConfig, pageSize = 4) =>
  loadLLM(await checkpoint(config), { dtype: "f32", pageSize });

const banned = (ids: readonly number[]) => Object.fromEntries(ids.map((id) => [id, -Infinity]));
const everyId = Array.from({ length: vocabSize }, (_, id) => id);

describe.each(models)("$architectures.0", (config) => {
  const neighbours: readonly { readonly prompt: readonly number[]; readonly options: GenerateOptions }[] = [
    { prompt: healthy, options: { maxTokens: 30, logitBias: { [broken]: -Infinity } } },
    { prompt: [5], options: { maxTokens: 40, temperature: 1, seed: 3, logitBias: { [broken]: -Infinity } } },
    { prompt: healthy.slice(3), options: { maxTokens: 12, logprobs: 2, logitBias: { [broken]: -1000 } } },
  ];
  const sick: readonly { readonly prompt: readonly number[]; readonly options: GenerateOptions }[] = [
    { prompt: [...healthy, broken, 1, 2], options: {} },
    { prompt: [broken], options: { temperature: 1 } },
    { prompt: [...healthy.slice(0, 5), broken], options: { temperature: 1, topK: 3, presencePenalty: 1 } },
    { prompt: [1, broken, 2], options: { promptLogprobs: 1, logprobs: 1 } },
  ];

  it("ends the request and no other", async () => {
    await using alone = await open(config);
    const expected = [];
    for (const { prompt, options } of neighbours)
      expected.push(await alone.generate(prompt, options).result());

    await using llm = await open(config);
    const results = neighbours.map(({ prompt, options }) => llm.generate(prompt, options).result());
    for (const { prompt, options } of sick) {
      // Of a prompt with log probabilities the first token without one.
      const position = options.promptLogprobs === undefined ? prompt.length : (expect.any(Number) as number);
      await expect(llm.generate(prompt, options).result()).rejects.toMatchObject({
        ...{ name: "SamplingError", code: "ERR_NON_FINITE", position },
        message: expect.stringMatching(/^request-\d+: token \d+, .* NaN/) as string,
      });
      llm.checkIntegrity();
    }
    expect((await Promise.all(results)).map((result) => ({ ...result, usage: 0 }))).toEqual(
      expected.map((result) => ({ ...result, usage: 0 })),
    );
    expect(llm.stats()).toMatchObject({ state: "running", running: 0, usedPages: 0 });
  });

  it("delivers what was generated before", async () => {
    await using llm = await open(config);
    const ids: number[] = [];
    const iterate = async () => {
      const options = { maxTokens: 9, logitBias: { [broken]: 1000 } };
      for await (const chunk of llm.generate(healthy, options)) ids.push(...chunk.tokenIds);
    };
    await expect(iterate()).rejects.toMatchObject({ code: "ERR_NON_FINITE", position: healthy.length + 1 });
    expect(ids).toEqual([broken]);
  });

  it("leaves no page in the prefix cache", async () => {
    await using llm = await open(config);
    const cached = async (prompt: readonly number[]) =>
      (await llm.generate(prompt, { maxTokens: 1, logitBias: banned([broken]) }).result()).usage.cachedTokens;
    const poisoned = [...healthy, broken, ...healthy];
    await expect(llm.generate(poisoned, { maxTokens: 5 }).result()).rejects.toThrow();
    expect(llm.stats()).toMatchObject({ cachedPages: 0 });
    expect(await cached(healthy)).toBe(0);
    expect(await cached(healthy)).toBe(16); // whole pages, the last token excluded
    await expect(llm.generate(poisoned, { maxTokens: 5 }).result()).rejects.toThrow();
    expect(await cached(healthy)).toBe(0); // nor what it had found there: nobody knows since when it is broken
    expect(Number.isNaN((await llm.logits(poisoned)).at(-1))).toBe(true); // what the model says
    expect(await cached(healthy)).toBe(0);
    expect(await llm.generate(poisoned).result().catch(String)).toContain("NaN");
    llm.checkIntegrity();
  });

  it("does not blame the model when the request bans every token", async () => {
    await using llm = await open(config);
    const neighbour = llm.generate(healthy, { maxTokens: 8, logitBias: banned([broken]) });
    for (const options of [
      { logitBias: banned(everyId) },
      { logitBias: banned(everyId), temperature: 1, topP: 0.5 },
      { stopTokenIds: everyId, minTokens: 1 },
      { stopTokenIds: everyId.slice(10), minTokens: 3, logitBias: banned(everyId.slice(0, 10)) },
    ]) {
      await expect(llm.generate([1, 2, 3], options).result()).rejects.toMatchObject({
        ...{ name: "SamplingError", code: "ERR_ALL_BANNED", position: 3 },
        message: expect.stringContaining("logitBias") as string,
      });
    }
    expect((await neighbour.result()).tokenIds).toHaveLength(8);
    const kept = { maxTokens: 1, logitBias: banned(everyId.slice(1)) };
    expect((await llm.generate([1, 2, 3], kept).result()).tokenIds).toEqual([0]); // one token is enough
  });

  it("fails one continuation of several when the others have ended", async () => {
    await using llm = await open(config);
    const two = { [broken]: 60, 5: 60 }; // each continuation soon draws the broken token, or never
    const options = { n: 16, temperature: 5, maxTokens: 3, seed: 1, logitBias: two };
    const ids = new Map<number, number[]>();
    const ends = new Set<number>();
    const iterate = async () => {
      for await (const { index, tokenIds, finishReason } of llm.generate([1, 2], options)) {
        ids.set(index, [...(ids.get(index) ?? []), ...tokenIds]);
        if (finishReason !== null) ends.add(index);
      }
    };
    await expect(iterate()).rejects.toMatchObject({ code: "ERR_NON_FINITE" });
    const whole = [...ids].filter(([, tokens]) => !tokens.slice(0, 2).includes(broken));
    expect(whole.length).toBeGreaterThan(0);
    expect(whole.length).toBeLessThan(16);
    expect([...ends].sort()).toEqual(whole.map(([index]) => index).sort());
    for (const [, tokens] of whole) expect(tokens).toHaveLength(3);
  });
});

describe("pages of another request that turn out to be broken", () => {
  let runner: StubRunner;
  beforeEach(() => {
    runner = new StubRunner();
  });

  it("are computed anew, and the token comes once", async () => {
    const engine = runner.engine();
    const prompt = Array.from({ length: 100 }, (_, i) => i); // two steps of 64 tokens
    const [first, second] = [new Recorder(), new Recorder()];
    const spec = greedySpec(3);
    const request = makeRequest("second", prompt.slice(0, 70), spec);
    engine.add(makeRequest("first", prompt, spec), spec, first);
    engine.add(request, spec, second);
    await Promise.resolve();
    const statusesOf = (step: number) =>
      runner.scheduled[step]!.samples.map(
        ({
          sequence: {
            request: { skipsCache },
          },
        }) => (skipsCache ? RowStatus.ok : RowStatus.notFinite),
      );
    for (let step = 0; step < runner.steps.length; step++) {
      runner.settle(step, statusesOf(step));
      await new Promise((resolve) => setImmediate(resolve));
      engine.checkIntegrity();
    }
    expect(first.ends).toEqual([expect.objectContaining({ code: "ERR_NON_FINITE", position: 100 })]);
    expect(first.tokens).toEqual([]);
    expect(request.hitLen).toBe(64); // it had found pages of the first one
    expect(second.ends).toEqual(["length"]);
    expect(second.tokens).toEqual([7, 7, 7]);
    await engine.close();
  });
});

it("a broken request under preemption and shared pages leaves the pool whole", async () => {
  const folder = await checkpoint(models[0]!);
  const bare = await BareEngine.open(folder, { dtype: "f32", pageSize: 4, pages: 20, maxSequences: 6 });
  const results = Array.from({ length: 30 }, (_, i) => {
    const prompt = [...healthy.slice(0, 4 + (i % 9)), ...(i % 3 === 0 ? [broken, 1, 2, 3, 4] : [i % 30])];
    return bare.generate(prompt, { maxTokens: 20, logitBias: { [broken]: -Infinity } }).result();
  });
  const settled = await Promise.allSettled(results);
  for (const [i, { status }] of settled.entries())
    expect(status).toBe(i % 3 === 0 ? "rejected" : "fulfilled");
  bare.engine.checkIntegrity();
  await bare.close();
});

it.each(["f32", "bf16"] as const)(
  "what is computed in pages full of NaN is right, also when it is found there, %s",
  async (dtype) => {
    const folder = await checkpoint(models[0]!);
    const prompt = [...healthy, ...healthy.slice(3)]; // two steps
    const asked = { maxTokens: 9, logprobs: 3, logitBias: { [broken]: -Infinity } };
    const open = () => BareEngine.open(folder, { dtype, pageSize: 8, pages: 6, maxStepTokens: 32 });
    const fresh = await open();
    const { logprobs } = await fresh.generate(prompt, asked).result();
    await fresh.close();

    const used = await open();
    const all = Array.from({ length: 6 * 8 - 1 }, () => broken);
    await expect(used.generate(all, { maxTokens: 1 }).result()).rejects.toThrow("NaN");
    for (const cachedTokens of [0, 32]) {
      const result = await used.generate(prompt, asked).result();
      expect(result.usage).toMatchObject({ cachedTokens });
      expect(result.logprobs).toEqual(logprobs); // to the bit
    }
    await used.close();
  },
);
