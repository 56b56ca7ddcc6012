/** One measurement of `warploop bench`: so many sequences at once, of random tokens. */
import type { LLM } from "../lib/index.js";

export interface Workload {
  readonly sequences: number;
  /** Of each sequence. */
  readonly promptTokens: number;
  /** Of each sequence, after the first token, which comes with the prompt. */
  readonly decodeTokens: number;
}

/** Tokens per second of all sequences together. */
export interface Speeds {
  /** Until the last sequence has its first token. */
  readonly prompt: number;
  /** From there until the first sequence is done: all of them run all the time. */
  readonly decode: number;
}

/** @param seed chooses the prompts */
export async function measure(
  llm: LLM,
  { sequences, promptTokens, decodeTokens }: Workload,
  { seed, signal }: { readonly seed: number; readonly signal: AbortSignal },
): Promise<Speeds> {
  const marks = { first: 0, end: 0 };
  let started = 0;
  let decoded = 0;
  const follow = async (sequence: number): Promise<void> => {
    const prompt = randomIds(seed * sequences + sequence, promptTokens, llm.shape.vocabSize);
    const options = { maxTokens: decodeTokens + 1, temperature: 0, ignoreEos: true, signal };
    let count = 0;
    for await (const { tokenIds } of llm.generate(prompt, options)) {
      for (const _ of tokenIds) {
        if (count++ === 0) {
          if (++started === sequences) marks.first = performance.now();
        } else if (started === sequences && marks.end === 0) {
          decoded++;
          if (count > decodeTokens) marks.end = performance.now();
        }
      }
    }
  };
  const start = performance.now();
  await Promise.all(Array.from({ length: sequences }, (_, sequence) => follow(sequence)));
  signal.throwIfAborted();
  return {
    prompt: (1000 * sequences * promptTokens) / (marks.first - start),
    decode: (1000 * decoded) / (marks.end - marks.first),
  };
}

/** Numerical Recipes' generator: equal seeds give equal prompts. */
function randomIds(seed: number, length: number, vocabSize: number): number[] {
  let state = (seed + 1) >>> 0;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabSize);
  });
}

/** The middle one, and the range. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, least: sorted[0]!, most: sorted.at(-1)! };
}
