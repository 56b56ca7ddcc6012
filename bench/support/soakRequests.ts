/** Makes up the requests of the soak: every option that changes how a request runs or ends, and ends that come from outside. */
import type { GenerateOptions } from "../../lib/index.js";
import { Dice } from "./dice.js";

/** How the caller ends a request early. */
export type EarlyEnd =
  | { readonly kind: "none" }
  /** `signal` fires after this time; 0: before the start */
  | { readonly kind: "signal"; readonly afterMs: number }
  /** `abort()` while reading, after this many chunks */
  | { readonly kind: "abort"; readonly afterChunks: number }
  /** the reader leaves its loop after this many chunks */
  | { readonly kind: "leave"; readonly afterChunks: number };

export interface SoakRequest {
  readonly prompt: readonly number[];
  readonly options: GenerateOptions;
  readonly end: EarlyEnd;
  /** Must be refused: the prompt leaves no room in the context. */
  readonly isTooLong: boolean;
}

export interface SoakLimits {
  readonly vocabSize: number;
  readonly contextLength: number;
}

const stopStrings = ["the ", ".", "lantern", " and", "fox", "\n"] as const;
const sharedPrefixes = 12;

/** Request number `index` of the soak with this seed. */
export function soakRequest(seed: number, index: number, limits: SoakLimits): SoakRequest {
  const dice = new Dice(seed * 1_000_003 + index);
  const isTooLong = dice.chance(0.02);
  const prompt = isTooLong
    ? ids(dice, limits.contextLength + dice.integer(0, 50), limits.vocabSize)
    : [...prefix(dice, seed, limits.vocabSize), ...ids(dice, dice.integer(1, 80), limits.vocabSize)];
  const n = dice.chance(0.1) ? dice.integer(2, 4) : 1;
  return {
    prompt,
    options: { n, ...lengths(dice), ...sampling(dice, limits), ...extras(dice) },
    end: end(dice),
    isTooLong,
  };
}

/** Nothing, or one of a few beginnings that requests share: hits of the prefix cache. */
function prefix(dice: Dice, seed: number, vocabSize: number): number[] {
  if (dice.chance(0.4)) return [];
  const shared = new Dice(seed * 7919 + dice.integer(1, sharedPrefixes));
  return ids(shared, shared.integer(8, 120), vocabSize);
}

/** Ids below the special tokens, which end tiny-moe's vocabulary. */
function ids(dice: Dice, count: number, vocabSize: number): number[] {
  return Array.from({ length: count }, () => dice.integer(0, vocabSize - 8));
}

function lengths(dice: Dice): GenerateOptions {
  const maxTokens = dice.chance(0.1) ? dice.integer(100, 200) : dice.integer(1, 60);
  return {
    maxTokens,
    ...(dice.chance(0.2) && { minTokens: dice.integer(0, maxTokens) }),
    ...(dice.chance(0.3) && { ignoreEos: true }),
  };
}

function sampling(dice: Dice, { vocabSize }: SoakLimits): GenerateOptions {
  if (dice.chance(0.4)) return { temperature: 0 };
  return {
    temperature: 0.2 + dice.fraction(),
    seed: dice.integer(0, 1_000_000),
    ...(dice.chance(0.3) && { topK: dice.integer(1, 50) }),
    ...(dice.chance(0.3) && { topP: 0.5 + dice.fraction() / 2 }),
    ...(dice.chance(0.2) && { minP: dice.fraction() / 5 }),
    ...(dice.chance(0.2) && { repetitionPenalty: 1 + dice.fraction() / 2 }),
    ...(dice.chance(0.2) && { presencePenalty: dice.fraction() }),
    ...(dice.chance(0.2) && { frequencyPenalty: dice.fraction() }),
    ...(dice.chance(0.1) && { logitBias: { [dice.integer(0, vocabSize - 1)]: dice.integer(-5, 5) } }),
  };
}

function extras(dice: Dice): GenerateOptions {
  return {
    ...(dice.chance(0.15) && { stop: [dice.pick(stopStrings), dice.pick(stopStrings)] }),
    ...(dice.chance(0.1) && { stopTokenIds: [dice.integer(0, 500)] }),
    ...(dice.chance(0.1) && { logprobs: dice.integer(0, 5) }),
    ...(dice.chance(0.05) && { promptLogprobs: dice.integer(0, 3) }),
    ...(dice.chance(0.2) && { cacheSalt: `tenant-${dice.integer(1, 3)}` }),
  };
}

function end(dice: Dice): EarlyEnd {
  const chance = dice.fraction();
  if (chance < 0.12) return { kind: "signal", afterMs: dice.chance(0.1) ? 0 : dice.integer(1, 400) };
  if (chance < 0.2) return { kind: "abort", afterChunks: dice.integer(1, 20) };
  if (chance < 0.25) return { kind: "leave", afterChunks: dice.integer(1, 20) };
  return { kind: "none" };
}
