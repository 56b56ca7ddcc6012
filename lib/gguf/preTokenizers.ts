/**
 * How texts are cut into words before byte-level BPE, by `tokenizer.ggml.pre`: as the tokenizer.json of the models has it from which
 * such files are made.
 *
 * Source: `llm_tokenizer_bpe` and `llama_vocab::impl::load` of llama.cpp for the names, whole words and bos; the patterns are those of
 * the models (lib/text/slicing.ts), which llama.cpp approximates here and there.
 */
import type { JsonObject } from "../checkpoint/json.js";
import { boundaryPatterns, transparentPatterns } from "../text/slicing.js";

export interface PreTokenizer {
  /** Stages of tokenizer.json. */
  readonly preTokenizer: JsonObject;
  readonly normalizer: JsonObject | null;
  /** A word that is a token is that token, whatever the merges say. */
  readonly ignoreMerges: boolean;
  /** Where no key says it. */
  readonly addBos: boolean;
}

const byteLevel = (useRegex: boolean): JsonObject => ({
  ...{ type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: useRegex },
});
const split = (pattern: string): JsonObject => ({
  ...{ type: "Split", pattern: { Regex: pattern }, behavior: "Isolated", invert: false },
});
const sequence = (...pretokenizers: readonly JsonObject[]): JsonObject => ({
  type: "Sequence",
  pretokenizers,
});

/** Cut by patterns of slicing.ts. */
const cut = (...patterns: readonly string[]): PreTokenizer => ({
  preTokenizer: sequence(...patterns.map(split), byteLevel(false)),
  ...{ normalizer: null, ignoreMerges: false, addBos: false },
});
const known = (name: string): string => boundaryPatterns.get(name)!;
const wholeWords = { ignoreMerges: true, addBos: true };

const gpt2: PreTokenizer = { ...cut(), preTokenizer: byteLevel(true) };
const digits: PreTokenizer = {
  ...gpt2,
  preTokenizer: sequence({ type: "Digits", individual_digits: true }, byteLevel(true)),
};
const [, numbers, chinese] = transparentPatterns;

const kinds: readonly (readonly [names: readonly string[], is: PreTokenizer])[] = [
  [["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral"], { ...cut(known("llama3")), ...wholeWords }],
  [["smaug-bpe", "dbrx", "glm4", "chatglm-bpe"], cut(known("llama3"))],
  [["qwen2", "deepseek-r1-qwen"], { ...cut(known("qwen2")), normalizer: { type: "NFC" } }],
  [["stablelm2"], cut(known("qwen2"))],
  [["gpt-4o", "llama4"], cut(known("o200k"))],
  [["tekken"], { ...cut(known("tekken")), ...wholeWords }],
  [["deepseek-v3"], cut(numbers!, chinese!, known("deepseek3"))],
  [["refact", "starcoder", "command-r", "smollm", "codeshell"], digits],
  [["gpt-2", "gpt2", "mpt", "olmo", "phi-2"], gpt2],
];

const byName = new Map(kinds.flatMap(([names, is]) => names.map((name) => [name, is] as const)));

/** Undefined for one that is not known. */
export function preTokenizerOf(name: string): PreTokenizer | undefined {
  return byName.get(name);
}

export const preTokenizerNames: readonly string[] = [...byName.keys()];
