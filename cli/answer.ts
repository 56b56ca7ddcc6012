/** Follows one generation: hands out its text as it comes, and says how fast it was. */
import type { FinishReason, GenerationStream, Usage } from "../lib/index.js";
import { count, digits, duration } from "./format.js";

export interface Timings {
  /** From the request to its first token. */
  readonly firstTokenMs: number;
  readonly totalMs: number;
  /** Tokens of the prompt that were computed, per second from when the engine has taken it to the first token. Null without one. */
  readonly promptTokensPerSecond: number | null;
  /** Tokens after the first, per second. Null of fewer than two. */
  readonly tokensPerSecond: number | null;
}

export interface Answer {
  readonly text: string;
  readonly finishReason: FinishReason;
  readonly stopReason: string | number | null;
  readonly usage: Usage;
  readonly timings: Timings;
}

/** @param onText called with each piece that is not empty @throws whatever makes the generation fail */
export async function follow(stream: GenerationStream, onText: (text: string) => void): Promise<Answer> {
  const start = performance.now();
  let taken = start; // before it threads start, and the text becomes tokens
  void stream.started.then(
    () => (taken = performance.now()),
    () => undefined, // whoever iterates learns of it
  );
  let first: number | undefined;
  let last = start;
  for await (const { text, tokenIds } of stream) {
    if (tokenIds.length > 0) {
      last = performance.now();
      first ??= last;
    }
    if (text !== "") onText(text);
  }
  const { text, finishReason, stopReason, usage } = await stream.result();
  const decoded = usage.completionTokens - 1;
  const timings = {
    ...{ firstTokenMs: (first ?? last) - start, totalMs: performance.now() - start },
    promptTokensPerSecond:
      first === undefined ? null : (1000 * (usage.promptTokens - usage.cachedTokens)) / (first - taken),
    tokensPerSecond: decoded > 0 ? (1000 * decoded) / (last - first!) : null,
  };
  return { text, finishReason, stopReason, usage, timings };
}

/** "64 tokens at 93.1 tokens/s; first after 0.12 s (18 tokens of prompt, 150 tokens/s); cut off" */
export function describeAnswer({ finishReason, usage, timings }: Answer): string {
  const { promptTokens, completionTokens, cachedTokens } = usage;
  const { firstTokenMs, tokensPerSecond, promptTokensPerSecond } = timings;
  const speed = tokensPerSecond === null ? "" : ` at ${digits(tokensPerSecond)} tokens/s`;
  const cached = cachedTokens > 0 ? `, ${cachedTokens} of them cached` : "";
  const prompt = `${count(promptTokens, "token")} of prompt${cached}, ${digits(promptTokensPerSecond ?? NaN)} tokens/s`;
  const first = completionTokens === 0 ? "" : `; first after ${duration(firstTokenMs)} (${prompt})`;
  return `${count(completionTokens, "token")}${speed}${first}${endings[finishReason]}`;
}

const endings: Readonly<Record<FinishReason, string>> = {
  stop: "",
  length: "; cut off",
  abort: "; stopped",
  error: "; failed",
};
