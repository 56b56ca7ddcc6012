/** The tokenizer keys of GGUF files, as converters write them from tokenizer.json, and for small vocabularies of tests. */
import { byteCharacters } from "../../text/tokenizerFiles.js";
import type { GgufMetadata, GgufValue } from "./format.js";

const text = (value: string): GgufValue => ({ type: "string", value });

/** `gguf.TokenType` */
export const types = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Byte-level BPE: the bytes have ids 0 to 255, then come the results of merges, then the special tokens. */
export function byteVocabulary(
  specials: readonly string[],
  { merges = [] as readonly string[], more = {} } = {},
): GgufMetadata {
  const tokens = [...byteCharacters(), ...merges.map((merge) => merge.replace(" ", ""))];
  return {
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("qwen2"),
    "tokenizer.ggml.tokens": { type: "strings", value: [...tokens, ...specials] },
    "tokenizer.ggml.token_type": {
      type: "i32s",
      value: [...tokens.map(() => types.normal), ...specials.map(() => types.control)],
    },
    "tokenizer.ggml.merges": { type: "strings", value: merges },
    "tokenizer.ggml.eos_token_id": { type: "u32", value: tokens.length + specials.length - 1 },
    ...more,
  };
}

interface TokenizerJson {
  readonly added_tokens: readonly {
    readonly id: number;
    readonly content: string;
    readonly special: boolean;
  }[];
  readonly model: {
    readonly vocab: Readonly<Record<string, number>>;
    readonly merges: readonly (string | readonly [string, string])[];
  };
}

/** `TextModel._set_vocab_gpt2`: of a tokenizer.json with byte-level BPE. @param size rows of the embeddings */
export function gpt2Vocabulary(json: TokenizerJson, pre: string, size: number): GgufMetadata {
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  const kinds = Array.from({ length: size }, (): number => types.unused);
  for (const [token, id] of Object.entries(json.model.vocab)) {
    tokens[id] = token;
    kinds[id] = types.normal;
  }
  for (const { id, content, special } of json.added_tokens) {
    tokens[id] = content;
    kinds[id] = special ? types.control : types.userDefined;
  }
  return {
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text(pre),
    "tokenizer.ggml.tokens": { type: "strings", value: tokens },
    "tokenizer.ggml.token_type": { type: "i32s", value: kinds },
    "tokenizer.ggml.merges": {
      type: "strings",
      value: json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" "))),
    },
  };
}
