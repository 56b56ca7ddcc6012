/** Workloads by their names: "4x128+64" is 4 sequences, prompts of 128 tokens, 64 decoded each. */
import type { Workload } from "../support/generationTiming.js";

/** @throws Error for a text that is no list of such names */
export function parseWorkloads(text: string): Workload[] {
  return text.split(",").map((name) => {
    const match = /^(\d+)x(\d+)\+(\d+)$/.exec(name);
    if (!match) throw new Error(`--workloads: expected a list of such as 4x128+64, got "${name}"`);
    const [sequences, promptTokens, decodeTokens] = match.slice(1).map(Number) as [number, number, number];
    return { sequences, promptTokens, decodeTokens };
  });
}

export function nameOf({ sequences, promptTokens, decodeTokens }: Workload): string {
  return `${sequences}x${promptTokens}+${decodeTokens}`;
}
