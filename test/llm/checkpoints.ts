/** The checkpoints that the tests of the decoding loop run, what is known of them, and how results are compared. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import type { GenerateResult } from "../../lib/llm/generationStream.js";
import type { Prompt } from "../../lib/llm/prompt.js";
import { LLM } from "../../lib/llm/llm.js";
import type { Random } from "../schedule/random.js";

/** One entry of a golden.json of models/. */
export interface TextGolden {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly top5_logprobs: readonly (readonly (readonly [id: number, logprob: number])[])[];
  readonly min_top1_margin: number;
  /** Of each token of the prompt, null for the first. */
  readonly prompt_logprobs?: readonly (number | null)[];
}

export const modelFolder = (name: string): string =>
  fileURLToPath(new URL(`../../models/${name}`, import.meta.url));

/** Random-weight checkpoints without a tokenizer; the quickest to run. */
export { goldenFolder } from "../support/goldenFolder.js";

export function textGoldens(name: string): readonly TextGolden[] {
  return JSON.parse(readFileSync(`${modelFolder(name)}/golden.json`, "utf8")) as TextGolden[];
}

/** The golden whose prompt contains a text. */
export function textGolden(name: string, part: string): TextGolden {
  const golden = textGoldens(name).find(({ prompt }) => prompt.includes(part));
  if (!golden) throw new Error(`models/${name}/golden.json has no prompt with "${part}"`);
  return golden;
}

/**
 * Loads a model for one thread: other tests run beside these, and threads that share cores wait for each other. Where more
 * threads are the point, a test asks for them.
 */
export function loadLLM(folder: string, options: LLMOptions = {}): Promise<LLM> {
  const device = process.env["WARPLOOP_TEST_DEVICE"] as LLMOptions["device"];
  return LLM.load(folder, { threads: 1, ...(device && { device }), ...options });
}

/** Runs `body` with a model that is closed afterwards, and with its pool checked. */
export async function withLLM<T>(
  folder: string,
  options: LLMOptions,
  body: (llm: LLM) => Promise<T>,
): Promise<T> {
  await using llm = await loadLLM(folder, options);
  const result = await body(llm);
  llm.checkIntegrity();
  return result;
}

export interface Ask {
  readonly prompt: Prompt;
  readonly options: GenerateOptions;
}

/** Submits all requests at once and waits for them. */
export function ask(llm: LLM, asks: readonly Ask[]): Promise<GenerateResult[]> {
  return Promise.all(asks.map(({ prompt, options }) => llm.generate(prompt, options).result()));
}

/** What must not depend on how a request was run: everything but the tokens that the prefix cache saved. */
export function essence({ usage, ...result }: GenerateResult) {
  return { ...result, usage: { ...usage, cachedTokens: 0 } };
}

/** Random token ids that are no special ones of any checkpoint here. */
export function randomPrompt(random: Random, length: number): number[] {
  return Array.from({ length }, () => random.below(380));
}

/** Bytes for `pages` KV pages of 16 tokens, the dummy page not counted. */
export function bytesOfPages({ shape }: LLM, pages: number): number {
  const perToken = shape.numLayers * shape.numKvHeads * (shape.headDim + shape.valueDim);
  return (pages + 1) * 16 * perToken * (shape.dtype === "f32" ? 4 : 2);
}

/** Waits until a condition holds; the tests' own limit ends it otherwise. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}
