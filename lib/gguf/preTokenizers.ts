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

/** Letters that have a case, in the tokenizers of DeepSeek LLM and V2; escaped are those that an editor may normalise. */
const casedLetters =
  "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌ" +
  "ῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ" +
  "\u{10400}-\u{1044f}\u{104b0}-\u{104d3}\u{104d8}-\u{104fb}\u{10c80}-\u{10cb2}\u{10cc0}-\u{10cf2}\u{118a0}-\u{118df}\u{1e900}-\u{1e943}";
const [lines, eastAsian] = ["[\r\n]", "[一-龥ࠀ-一가-퟿]+"];

/** Cut by patterns that are not in slicing.ts, then at every digit. */
const deepseek = (...patterns: readonly string[]): PreTokenizer => ({
  ...cut(),
  preTokenizer: sequence(
    ...[lines, ...patterns, eastAsian].map(split),
    { type: "Digits", individual_digits: true },
    byteLevel(false),
  ),
});
/** As o200k, with runs of Chinese characters apart from words. Source: tokenization_kimi.py of the model. */
const kimi = (() => {
  const letters = (cased: string) => String.raw`(?:(?!\p{Script=Han})[${cased}\p{Lm}\p{Lo}\p{M}])`;
  const [upper, lower] = [letters(String.raw`\p{Lu}\p{Lt}`), letters(String.raw`\p{Ll}`)];
  const [before, behind] = [String.raw`[^\r\n\p{L}\p{N}]?`, "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"];
  const words = `${before}${upper}*${lower}+${behind}|${before}${upper}+${lower}*${behind}`;
  const rest = String.raw`\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
  return String.raw`\p{Script=Han}+|${words}|${rest}`;
})();
/** Behind ByteLevel, whose characters for some bytes are numbers, too: so it is in the models. */
const falcon: PreTokenizer = {
  ...gpt2,
  preTokenizer: sequence(
    { type: "Punctuation", behavior: "Contiguous" },
    byteLevel(true),
    { type: "Digits", individual_digits: false },
    split("[0-9][0-9][0-9]"),
  ),
};

const kinds: readonly (readonly [names: readonly string[], is: PreTokenizer])[] = [
  [
    ["llama-bpe", "llama3", "llama-v3", "falcon3", "pixtral", "lfm2"],
    { ...cut(known("llama3")), ...wholeWords },
  ],
  [["smaug-bpe", "dbrx", "glm4", "chatglm-bpe"], cut(known("llama3"))],
  [["qwen2", "deepseek-r1-qwen", "megrez"], { ...cut(known("qwen2")), normalizer: { type: "NFC" } }],
  [["qwen35"], { ...cut(known("qwen3.5")), normalizer: { type: "NFC" } }],
  [["stablelm2", "hunyuan"], cut(known("qwen2"))],
  [["gpt-4o", "llama4", "kanana2"], cut(known("o200k"))],
  [["tekken"], { ...cut(known("tekken")), ...wholeWords }],
  [["deepseek-v3", "hunyuan-dense", "joyai-llm"], cut(numbers!, chinese!, known("deepseek3"))],
  [
    ["deepseek-llm"],
    deepseek(String.raw`\s?[${casedLetters}]+`, String.raw`\s?[!-/:-~！-／：-～‘-‟　-。]+`, String.raw`\s+$`),
  ],
  [["kimi-k2"], cut(kimi)],
  [["deepseek-coder"], deepseek(String.raw`\s?\p{L}+`, String.raw`\s?\p{P}+`)],
  [["refact", "starcoder", "command-r", "smollm", "codeshell", "exaone"], digits],
  [["gpt-2", "gpt2", "mpt", "olmo", "phi-2", "jais", "exaone4"], gpt2],
  [["falcon"], falcon],
];

const byName = new Map(kinds.flatMap(([names, is]) => names.map((name) => [name, is] as const)));

/** Undefined for one that is not known. */
export function preTokenizerOf(name: string): PreTokenizer | undefined {
  return byName.get(name);
}

export const preTokenizerNames: readonly string[] = [...byName.keys()];
