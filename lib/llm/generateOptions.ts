/** What a caller may ask of one generation, and its checked form. */
import { randomInt } from "node:crypto";
import { checkBoolean, describe, readArguments, readOptions } from "../arguments.js";
import type { SamplingDefaults } from "../checkpoint/config.js";
import { type LogitBias, noBias, type Sampling } from "../engine/sampling.js";
import { ArgumentRangeError, ArgumentTypeError, CheckpointError, TextError } from "../errors.js";
import {
  mapSampling,
  samplingNames,
  type SamplingName,
  type SamplingParameter,
} from "../samplingParameters.js";
import type { OutputFormat } from "../grammar/format.js";
import type { CheckedFormat } from "../grammar/grammars.js";
import { resolveFormat } from "./formatOption.js";
import type { ContextLimit } from "./prompt.js";
import { checkNumber, checkSignal, checkText, checkTokenIds } from "./validate.js";

export interface GenerateOptions {
  /** Most tokens to generate. Default: up to the end of the context. */
  readonly maxTokens?: number | undefined;
  /** No stop before this many tokens: stop ids get no probability, stop strings do not count. Default 0. */
  readonly minTokens?: number | undefined;
  /** 0 (below 1e-5) is greedy. Default: that of generation_config.json if it samples, else 0. */
  readonly temperature?: number | undefined;
  /** Sample from the k most likely tokens; 0 is off, and so is -1. */
  readonly topK?: number | undefined;
  /** Sample from the smallest set of most likely tokens whose probabilities reach this sum. 1 is off. */
  readonly topP?: number | undefined;
  /** Drop tokens less likely than this share of the most likely one. 0 is off. */
  readonly minP?: number | undefined;
  /** Divides positive and multiplies negative logits of tokens that occurred, prompt included. 1 is off. */
  readonly repetitionPenalty?: number | undefined;
  /** Subtracted from the logits of tokens that were generated before. 0 is off. */
  readonly presencePenalty?: number | undefined;
  /** Subtracted from the logits once for each time that the token was generated before. 0 is off. */
  readonly frequencyPenalty?: number | undefined;
  /** Added to the logits of single tokens, by token id; -Infinity forbids one. */
  readonly logitBias?: Readonly<Record<number, number>> | undefined;
  /** Whole number from 0. The same request with the same seed gives the same tokens. Default: random. */
  readonly seed?: number | undefined;
  /**
   * Text that ends the generation: any number of strings, 2,000,000 characters in all. Special tokens in it count also when
   * they are not shown.
   */
  readonly stop?: string | readonly string[] | undefined;
  /** Whether the text ends with the stop string, special tokens in it included. Default false. */
  readonly includeStop?: boolean | undefined;
  /** What form the text has: its tokens are sampled among those that go on with it. Default: any. */
  readonly format?: OutputFormat | undefined;
  /** Token ids that end the generation, besides those of the checkpoint. */
  readonly stopTokenIds?: readonly number[] | undefined;
  /** Go on after the checkpoint's end-of-text tokens: those that its config, generation config or tokenizer name. Default false. */
  readonly ignoreEos?: boolean | undefined;
  /** Log probabilities (natural, of the unchanged model) of each token and of this many most likely ones. 0 to 100, at most V. */
  readonly logprobs?: number | undefined;
  /** The same for the tokens of the prompt. */
  readonly promptLogprobs?: number | undefined;
  /** Independent continuations of the same prompt. Default 1. */
  readonly n?: number | undefined;
  /**
   * Requests of a lower number are served first, and lose their place last when memory runs out; those of equal ones in order of arrival.
   * A 32-bit integer. Default 0.
   */
  readonly priority?: number | undefined;
  /** Cached prefixes are shared only between requests of equal salt: one per tenant. */
  readonly cacheSalt?: string | undefined;
  /** Leave special tokens out of the text. Default true. */
  readonly skipSpecialTokens?: boolean | undefined;
  /** Ends the generation with finish reason "abort", in whatever state it is. */
  readonly signal?: AbortSignal | undefined;
}

export const generateOptionNames = [
  "maxTokens",
  "minTokens",
  ...samplingNames,
  "logitBias",
  "seed",
  "stop",
  "includeStop",
  "format",
  "stopTokenIds",
  "ignoreEos",
  "logprobs",
  "promptLogprobs",
  "n",
  "priority",
  "cacheSalt",
  "skipSpecialTokens",
  "signal",
] as const;

/** What the model brings to the defaults. */
export interface GenerateContext extends ContextLimit {
  readonly vocabSize: number;
  readonly eosTokenIds: readonly number[];
  readonly sampling: SamplingDefaults;
  /** Without a tokenizer there is no text, and no stop string in it. */
  readonly hasTokenizer: boolean;
  /** False: there are no logits to sample from (`ModelShape`). Default true. */
  readonly hasHead?: boolean;
}

/** Checked options with every default filled in. */
export interface Generation {
  readonly maxTokens: number;
  readonly minTokens: number;
  readonly n: number;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  readonly includeStop: boolean;
  /** As `checkFormat` gives it. */
  readonly format: CheckedFormat | undefined;
  readonly stopTokenIds: ReadonlySet<number>;
  /** Most likely alternatives to report per token; undefined: no log probabilities. */
  readonly logprobs: number | undefined;
  readonly promptLogprobs: number | undefined;
  readonly priority: number;
  readonly cacheSalt: string;
  readonly skipSpecialTokens: boolean;
  readonly signal: AbortSignal | undefined;
}

/** @throws ArgumentTypeError, ArgumentRangeError, TextError naming the option */
export function resolveGeneration(given: GenerateOptions, context: GenerateContext): Generation {
  const options = readOptions("generate", given, generateOptionNames);
  requireHead(context);
  return resolve(options, context);
}

/** @throws CheckpointError ERR_CHECKPOINT_TENSOR of an embedding model, which has no head */
export function requireHead({ hasHead = true }: Pick<GenerateContext, "hasHead">): void {
  if (hasHead) return;
  const message =
    "the checkpoint has no lm_head.weight, and its config does not tie it to the embeddings (tie_word_embeddings): " +
    "it makes vectors, with llm.embed, and no text";
  throw new CheckpointError("ERR_CHECKPOINT_TENSOR", message, { tensor: "lm_head.weight" });
}

function resolve(options: GenerateOptions, context: GenerateContext): Generation {
  const maxTokens = checkNumber("maxTokens", options.maxTokens, context.contextLength, positive);
  const minTokens = checkNumber("minTokens", options.minTokens, 0, {
    min: 0,
    max: 0x7fffffff,
    integer: true,
  });
  if (minTokens > maxTokens)
    throw new ArgumentRangeError(
      `minTokens: expected at most maxTokens, which is ${maxTokens}, got ${minTokens}`,
    );
  const ids = checkTokenIds("stopTokenIds", options.stopTokenIds ?? [], context.vocabSize);
  const eos = checkBoolean("ignoreEos", options.ignoreEos, false) ? [] : context.eosTokenIds;
  const stopTokenIds = new Set([...ids, ...eos.filter((id) => id < context.vocabSize)]);
  const count = { min: 0, max: Math.min(100, context.vocabSize), integer: true };
  const optionalCount = (name: "logprobs" | "promptLogprobs") =>
    options[name] === undefined ? undefined : checkNumber(name, options[name], 0, count);
  return {
    maxTokens,
    minTokens,
    n: checkNumber("n", options.n, 1, { min: 1, max: maxChoices, integer: true }),
    sampling: resolveSampling(options, context, minTokens > 0 ? stopTokenIds : new Set(), minTokens),
    stop: resolveStop(options.stop, context.hasTokenizer),
    includeStop: checkBoolean("includeStop", options.includeStop, false),
    format: resolveFormat(options.format, stopTokenIds, context.hasTokenizer),
    stopTokenIds,
    logprobs: optionalCount("logprobs"),
    promptLogprobs: optionalCount("promptLogprobs"),
    priority: checkNumber("priority", options.priority, 0, int32),
    cacheSalt: checkText("cacheSalt", options.cacheSalt, ""),
    skipSpecialTokens: checkBoolean("skipSpecialTokens", options.skipSpecialTokens, true),
    signal: checkSignal(options.signal),
  };
}

/** The same with another random seed. */
export function withNewSeed(generation: Generation): Generation {
  return { ...generation, sampling: { ...generation.sampling, seed: randomSeed() } };
}

function randomSeed(): number {
  return randomInt(2 ** 47);
}

const int32 = { min: -0x80000000, max: 0x7fffffff, integer: true };
const positive = { min: 1, max: 0x7fffffff, integer: true };
const maxChoices = 256;
const leastTemperature = 1e-5; // logits divided by less leave the range of f32

function resolveSampling(
  options: GenerateOptions,
  { vocabSize, sampling }: GenerateContext,
  suppressed: ReadonlySet<number>,
  minTokens: number,
): Sampling {
  const seed = checkNumber("seed", options.seed, randomSeed(), {
    min: 0,
    max: Number.MAX_SAFE_INTEGER - maxChoices, // continuation i draws with seed + i
    integer: true,
  });
  const values = mapSampling((name, parameter) =>
    checkSampling(name, options[name], parameter, defaultOf(name, parameter, sampling)),
  );
  return {
    ...values,
    temperature: values.temperature < leastTemperature ? 0 : values.temperature,
    seed,
    logitBias: readArguments("logitBias", () => resolveBias(options.logitBias, vocabSize)),
    suppressed: [...suppressed],
    minTokens,
  };
}

function defaultOf(
  name: SamplingName,
  { off, penalty, whenSampling }: SamplingParameter,
  file: SamplingDefaults,
): number {
  if (file.doSample === true) return file[name] ?? whenSampling ?? off;
  // A penalty is no way of sampling: transformers applies it to greedy decoding, too (GenerationMixin._get_logits_processor).
  return (penalty ? file[name] : undefined) ?? off;
}

/** @returns value, or `fallback` when it is undefined. @throws ArgumentTypeError, ArgumentRangeError */
function checkSampling(
  name: SamplingName,
  value: unknown,
  parameter: SamplingParameter,
  fallback: number,
): number {
  if (value !== undefined && value === parameter.alsoOff) return parameter.off;
  return checkNumber(name, value, fallback, parameter, parameter.alsoOff);
}

const maxBias = 1e9;

/** Plain loops: there may be thousands of entries, and names are only written for what is wrong. */
function resolveBias(bias: GenerateOptions["logitBias"], vocabSize: number): LogitBias {
  if (bias === undefined) return noBias;
  if (typeof bias !== "object" || bias === null || Array.isArray(bias) || bias instanceof Map) {
    throw new ArgumentTypeError(`logitBias: expected an object of token id to number, got ${describe(bias)}`);
  }
  const keys = Object.keys(bias);
  const [ids, values] = [new Int32Array(keys.length), new Float32Array(keys.length)];
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    const id = Number(key);
    if (String(id) !== key || !Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new ArgumentRangeError(`logitBias[${key}]: expected a token id from 0 to ${vocabSize - 1}`);
    }
    const value: unknown = bias[id];
    const isFine =
      value === -Infinity || (typeof value === "number" && value >= -maxBias && value <= maxBias);
    ids[i] = id;
    values[i] = isFine ? value : checkNumber(`logitBias[${key}]`, value, 0, { min: -maxBias, max: maxBias });
  }
  return { ids, values };
}

/** UTF-16 units of all stop strings together: what searches for them takes about 30 bytes for each. */
const maxStopChars = 2_000_000;

function resolveStop(stop: GenerateOptions["stop"], hasTokenizer: boolean): readonly string[] {
  if (stop === undefined) return [];
  const list = readArguments<unknown[]>("stop", () => {
    if (Array.isArray(stop)) return [...(stop as readonly unknown[])];
    if (typeof stop === "string" && stop !== "") return [stop];
    const got = stop === "" ? "an empty one" : describe(stop);
    throw new ArgumentTypeError(`stop: expected a string that is not empty, or a list of such, got ${got}`);
  });
  let numChars = 0;
  for (let i = 0; i < list.length; i++) {
    const text = list[i];
    if (typeof text !== "string" || text === "") {
      throw new ArgumentTypeError(`stop[${i}]: expected a string that is not empty, got ${describe(text)}`);
    }
    numChars += text.length;
  }
  if (numChars > maxStopChars) {
    throw new ArgumentRangeError(`stop: expected at most ${maxStopChars} characters in all, got ${numChars}`);
  }
  if (list.length > 0 && !hasTokenizer) {
    throw new TextError("ERR_TOKENIZER", "stop: the checkpoint has no tokenizer.json: use stopTokenIds");
  }
  return list as string[];
}
