/**
 * tokenizer.json of published vocabularies, built from npm packages for benches: Llama 3 (128,256 tokens, 280,147 merges)
 * and OpenAI's o200k (200,019 tokens). Written once under bench/output, then reused.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import o200kRanks from "js-tiktoken/ranks/o200k_base";
import llama3 from "llama3-tokenizer-js";
import { byteChars } from "../../lib/text/byteChars.js";
import { boundaryPatterns } from "../../lib/text/slicing.js";
import { outputFolder } from "./randomCheckpoint.js";

export type RealTokenizer = "llama3" | "o200k";

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly merges: readonly string[];
  readonly special: ReadonlyMap<string, number>;
  readonly ignoreMerges: boolean;
}

/**
 * @param size of o200k: the tokens of lowest rank and one that ends a text. Default: all
 * @returns a folder with tokenizer.json
 */
export function realTokenizer(name: RealTokenizer, size?: number): string {
  const folder = join(outputFolder, "tokenizers", size === undefined ? name : `${name}-${size}`);
  const file = join(folder, "tokenizer.json");
  if (existsSync(file)) return folder;
  mkdirSync(folder, { recursive: true });
  const vocabulary = name === "llama3" ? readLlama3() : readO200k(size);
  writeFileSync(file, JSON.stringify(definition(vocabulary, boundaryPatterns.get(name)!), null, 2));
  return folder;
}

function definition({ tokens, merges, special, ignoreMerges }: Vocabulary, regex: string): object {
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
  const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
  return {
    version: "1.0",
    added_tokens: [...special].map(([content, id]) => ({ id, content, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: [split, bytes] },
    post_processor: null,
    decoder: bytes,
    model: {
      type: "BPE",
      unk_token: null,
      ignore_merges: ignoreMerges,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges,
    },
  };
}

function readLlama3(): Vocabulary {
  const { vocabById, merges } = llama3 as unknown as {
    readonly vocabById: readonly string[];
    readonly merges: ReadonlyMap<string, number>;
  };
  const firstSpecial = vocabById.indexOf("<|begin_of_text|>");
  const ranked = [...merges].sort(([, a], [, b]) => a - b);
  return {
    tokens: vocabById.slice(0, firstSpecial),
    merges: ranked.map(([pair]) => pair),
    special: new Map(vocabById.slice(firstSpecial).map((token, i) => [token, firstSpecial + i])),
    ignoreMerges: true,
  };
}

/** OpenAI publishes tokens by rank; the pair that makes a token is what lower ranks leave of its bytes. */
function readO200k(size?: number): Vocabulary {
  let tokens: string[] = [];
  for (const line of o200kRanks.bpe_ranks.split("\n")) {
    const [, start, ...list] = line.split(" ");
    for (const [i, base64] of list.entries()) {
      tokens[Number(start) + i] = Array.from(Buffer.from(base64, "base64"), (byte) => byteChars[byte]!).join(
        "",
      );
    }
  }
  if (size !== undefined) tokens = tokens.slice(0, size - 1);
  const rankOf = new Map(tokens.map((token, rank) => [token, rank]));
  const merges = tokens.flatMap((token, rank) => (token.length > 1 ? [pairOf(token, rank, rankOf)] : []));
  const all = Object.entries(o200kRanks.special_tokens);
  const special = new Map(size === undefined ? all : [["<|endoftext|>", size - 1]]);
  return { tokens, merges, special, ignoreMerges: false };
}

function pairOf(token: string, rank: number, rankOf: ReadonlyMap<string, number>): string {
  let parts = [...token];
  while (parts.length > 2) {
    const ranks = parts.slice(1).map((part, i) => rankOf.get(parts[i]! + part) ?? Infinity);
    const least = ranks.reduce((best, each) => Math.min(best, each));
    if (least >= rank) throw new Error(`${token} is not made of two tokens`);
    const at = ranks.indexOf(least);
    parts = [...parts.slice(0, at), parts[at]! + parts[at + 1]!, ...parts.slice(at + 2)];
  }
  return parts.join(" ");
}
