/** What a prompt may be, and what to say of one that is none. */
import { describe, readArguments } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";
import { longestContext } from "../models/limits.js";
import { checkTokenIds } from "./validate.js";

/** Text, or token ids. */
export type Prompt = string | readonly number[] | Int32Array;

/** How long prompts may be, and what would allow longer ones. */
export interface ContextLimit {
  /** Tokens, prompt and generated. */
  readonly contextLength: number;
  /** What the user can do beside shortening a prompt, such as "load the model with a larger contextLength"; undefined: nothing. */
  readonly longer?: string | undefined;
}

/**
 * What makes the context of a loaded model longer.
 *
 * @param contextLength tokens that fit, at most the positions that the model is loaded for
 */
export function longerContext(
  contextLength: number,
  positions: number,
  model: Parameters<typeof longestContext>[0],
): string | undefined {
  if (contextLength < positions) return "load the model with a larger kvCacheBytes";
  const longest = longestContext(model);
  return positions < longest ? `load the model with a larger contextLength (up to ${longest})` : undefined;
}

/**
 * A prompt as text or as a list of checked token ids.
 * @throws ArgumentTypeError, ArgumentRangeError, with the function to use for what is meant for another
 */
export function checkPrompt(prompt: unknown, vocabSize: number, name = "prompt"): string | Int32Array {
  if (typeof prompt === "string") return prompt;
  const hint = readArguments(name, () => hintFor(prompt));
  if (hint !== undefined)
    throw new ArgumentTypeError(`${name}: expected a text or token ids, got ${describe(prompt)}${hint}`);
  return checkTokenIds(name, prompt, vocabSize);
}

/** What to say of a prompt that is no list of numbers; undefined for one that may be. */
function hintFor(prompt: unknown): string | undefined {
  if (prompt instanceof Int32Array || prompt instanceof Uint32Array) return undefined;
  if (!Array.isArray(prompt)) return ArrayBuffer.isView(prompt) ? "; decode bytes to a string first" : "";
  const first = (prompt as readonly unknown[])[0];
  if (typeof first === "string") return " of strings; generateAll takes many prompts";
  if (typeof first !== "object" || first === null) return undefined;
  return Array.isArray(first)
    ? " of arrays; generateAll takes many prompts"
    : " of objects; chat takes messages";
}

/** @throws ArgumentRangeError for no tokens; ERR_CONTEXT_LENGTH for more than leave room for one to generate */
export function checkPromptLength(name: string, numTokens: number, limit: ContextLimit): void {
  if (numTokens === 0) {
    throw new ArgumentRangeError(
      `${name}: expected at least one token, got none; give some text, or the id of a token to begin with`,
    );
  }
  if (numTokens >= limit.contextLength) throw promptTooLong(`${numTokens}`, limit, name);
}

/** @param numTokens a number, or "at least" one */
export function promptTooLong(
  numTokens: string,
  { contextLength, longer }: ContextLimit,
  name = "prompt",
): ArgumentRangeError {
  const advice = longer === undefined ? "shorten it" : `shorten it, or ${longer}`;
  return new ArgumentRangeError(
    `${name}: got ${numTokens} tokens, the context ${contextLength}, of which one must be left to generate; ${advice}`,
    "ERR_CONTEXT_LENGTH",
  );
}
