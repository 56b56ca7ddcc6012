// Contract: every sampling option chooses the token that the float64 reference chooses from the model's own logits, at every
// position of a generation.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import type { LLM } from "../../lib/llm/llm.js";
import { logprobs as referenceLogprobs } from "../reference/logprobs.js";
import { sample } from "../reference/sample.js";
import { loadLLM, modelFolder, textGolden } from "./checkpoints.js";

/** A decision closer to a tie than this may fall either way in f32. */
const tie = 1e-4;
const maxTokens = 30;
/** Ends of text of the checkpoint. */
const eosIds = [1023, 1021];

const cases: readonly { readonly name: string; readonly options: GenerateOptions }[] = [
  { name: "greedy", options: {} },
  { name: "plain sampling", options: { temperature: 1, seed: 1 } },
  { name: "hot, large seed", options: { temperature: 5, seed: 2 ** 52 + 12345 } },
  { name: "cold", options: { temperature: 0.05, seed: 3 } },
  { name: "topK 1 is greedy", options: { temperature: 3, topK: 1, seed: 4 } },
  { name: "topK 3", options: { temperature: 3, topK: 3, seed: 4 } },
  { name: "topK beyond the vocabulary", options: { temperature: 3, topK: 0x7fffffff, seed: 4 } },
  { name: "topK -1 is off, as in vLLM", options: { temperature: 3, topK: -1, seed: 4 } },
  { name: "topP 0 is greedy", options: { temperature: 3, topP: 0, seed: 5 } },
  { name: "topP", options: { temperature: 3, topP: 0.8, seed: 5 } },
  { name: "minP 1 is greedy", options: { temperature: 3, minP: 1, seed: 6 } },
  { name: "minP", options: { temperature: 3, minP: 0.05, seed: 6 } },
  { name: "all filters", options: { temperature: 4, topK: 50, topP: 0.9, minP: 0.01, seed: 7 } },
  { name: "repetition penalty, prompt included", options: { repetitionPenalty: 2 } },
  { name: "repetition bonus", options: { repetitionPenalty: 0.8 } },
  { name: "presence penalty", options: { presencePenalty: 6 } },
  { name: "negative presence penalty", options: { presencePenalty: -8 } },
  { name: "frequency penalty", options: { frequencyPenalty: 4 } },
  {
    name: "penalties and sampling",
    options: { temperature: 2, repetitionPenalty: 1.3, presencePenalty: 1, frequencyPenalty: 0.5, seed: 8 },
  },
  { name: "logit bias that prefers", options: { logitBias: { 100: 12, 101: 11.5 } } },
  { name: "logit bias and sampling", options: { temperature: 1, logitBias: { 84: -3, 102: 2 }, seed: 9 } },
  { name: "minTokens forbids the end", options: { minTokens: maxTokens, logitBias: { 1023: 60 } } },
];

describe("tokens are those of the float64 reference", () => {
  let llm: LLM;
  const prompt = textGolden("tiny-draft", "Turn this into JSON").prompt_ids;

  beforeAll(async () => {
    llm = await loadLLM(modelFolder("tiny-draft"), { dtype: "f32" });
  });
  afterAll(() => llm.close());

  it.each(cases)("$name", async ({ options }) => {
    const { tokenIds, logprobs } = await llm
      .generate(prompt, { maxTokens, ...options, logprobs: 2 })
      .result();
    const tokens = [...prompt, ...tokenIds];
    const logits = await logitsBefore(llm, tokens, prompt.length);
    const B = tokenIds.length;
    const V = llm.shape.vocabSize;
    const { ids, margins } = sample(logits, sampleInputs(options, tokens, prompt.length), { B, V });
    for (let i = 0; i < B; i++) if (margins[i]! > tie) expect(tokenIds[i]).toBe(ids[i]);
    expect(margins.filter((margin) => margin > tie).length).toBeGreaterThan(0.6 * B);
    // The log probabilities are those of the unchanged model.
    const expected = referenceLogprobs(logits, Int32Array.from(tokenIds), { B, V, topN: 2 });
    for (const [i, { tokenId, logprob, top }] of logprobs!.entries()) {
      expect(tokenId).toBe(tokenIds[i]);
      expect(Math.abs(logprob - expected.chosen[i]!)).toBeLessThan(1e-4 * (1 + Math.abs(logprob)));
      expect(top.map((entry) => entry.tokenId)).toEqual([...expected.topIds.subarray(2 * i, 2 * i + 2)]);
    }
  });

  it("a temperature that would overflow f32 is greedy", async () => {
    const greedy = await llm.generate(prompt, { maxTokens }).result();
    for (const temperature of [1e-300, 1e-38, 1e-6]) {
      const { tokenIds } = await llm.generate(prompt, { maxTokens, temperature, seed: 1 }).result();
      expect(tokenIds).toEqual(greedy.tokenIds);
    }
  });

  it("logitBias forces and forbids tokens", async () => {
    const forced = await llm.generate(prompt, { maxTokens: 4, logitBias: { 77: 1e9 } }).result();
    expect(forced.tokenIds).toEqual([77, 77, 77, 77]);
    const free = await llm.generate(prompt, { maxTokens: 20 }).result();
    const logitBias = Object.fromEntries(free.tokenIds.map((id) => [id, -Infinity]));
    const { tokenIds } = await llm.generate(prompt, { maxTokens: 20, logitBias }).result();
    expect(tokenIds.some((id) => free.tokenIds.includes(id))).toBe(false);
  });
});

/** Logits [B, V] from which the tokens after the prompt were chosen. */
async function logitsBefore(
  llm: LLM,
  tokens: readonly number[],
  promptLength: number,
): Promise<Float64Array> {
  const V = llm.shape.vocabSize;
  const all = await llm.logits(tokens);
  return Float64Array.from(all.subarray((promptLength - 1) * V, (tokens.length - 1) * V));
}

function sampleInputs(options: GenerateOptions, tokens: readonly number[], promptLength: number) {
  const { temperature = 0, topK = 0, topP = 1, minP = 0, seed = 0, minTokens = 0 } = options;
  const { repetitionPenalty = 1, presencePenalty = 0, frequencyPenalty = 0, logitBias = {} } = options;
  const rows = Array.from({ length: tokens.length - promptLength }, (_, i) => i);
  const biases = rows.map((i) => [
    ...Object.entries(logitBias).map(([id, value]) => [Number(id), value] as const),
    ...(i < minTokens ? eosIds.map((id) => [id, -Infinity] as const) : []),
  ]);
  const biasLength = Math.max(...biases.map((entries) => entries.length));
  const padded = biases.flatMap((entries) =>
    Array.from({ length: biasLength }, (_, j) => entries[j] ?? [-1, 0]),
  );
  const penalties = [repetitionPenalty, presencePenalty, frequencyPenalty];
  const [low, high] = [seed % 2 ** 32, Math.floor(seed / 2 ** 32)];
  return {
    floats: Float64Array.from(rows.flatMap(() => [temperature, topP, minP, ...penalties])),
    ints: Int32Array.from(rows.flatMap(() => [Math.max(topK, 0), low, high, 0, promptLength, 0])),
    positions: Int32Array.from(rows, (i) => promptLength + i),
    tokenPool: Int32Array.from(tokens),
    poolLength: tokens.length,
    biasIds: Int32Array.from(padded, ([id]) => id),
    biasValues: Float64Array.from(padded, ([, value]) => value),
    biasLength,
  };
}
