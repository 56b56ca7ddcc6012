/** The tokens of a GGUF file: their texts, and of which types they are. */
import { show } from "../checkpoint/json.js";
import { TextError } from "../errors.js";
import type { Steps } from "../eventLoop.js";
import type { Metadata } from "./metadata.js";

/** `tokenizer.ggml.token_type` */
export const tokenTypes = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** Special tokens: what the file calls them, and what tokenizer_config.json does. */
const specials = { bos: "bos_token", eos: "eos_token", unknown: "unk_token", padding: "pad_token" } as const;

export interface VocabularyToken {
  readonly id: number;
  readonly text: string;
  readonly type: number;
}

/** Between two yields; about 0.5 ms. */
export const itemsPerStep = 1024;

export const keyOf = (name: string): string => `tokenizer.ggml.${name}`;

/**
 * All tokens but those that only fill the vocabulary up to the size of the embeddings.
 *
 * @throws TextError ERR_TOKENIZER for a list that is missing or of another length, and for two tokens of one text
 */
export function* readVocabulary(metadata: Metadata): Steps<VocabularyToken[]> {
  const list = metadata.texts(keyOf("tokens"));
  if (list === undefined)
    throw tokenizerError(metadata, `${keyOf("tokens")}: expected the vocabulary, got nothing`);
  const types = metadata.numbers(keyOf("token_type"));
  if (types && types.count !== list.count) {
    const problem = `expected one for each of ${list.count} tokens, got ${types.count}`;
    throw tokenizerError(metadata, `${keyOf("token_type")}: ${problem}`);
  }
  const typeOf = types?.items[Symbol.iterator]();
  const tokens: VocabularyToken[] = [];
  const ids = new Map<string, number>();
  let id = 0;
  for (const text of list.items) {
    const type = Number(typeOf?.next().value ?? tokenTypes.normal);
    const isFiller = type === tokenTypes.unused && text === `[PAD${id}]`;
    if (!isFiller) {
      const other = ids.get(text);
      if (other !== undefined)
        throw tokenizerError(
          metadata,
          `${keyOf("tokens")}: ${show(text)} stands there twice, at ${other} and ${id}`,
        );
      ids.set(text, id);
      tokens.push({ id, text, type });
    }
    if (++id % itemsPerStep === 0) yield;
  }
  return tokens;
}

/** The texts of the special tokens that have one, under the names that tokenizer_config.json has for them. */
export function specialTexts(metadata: Metadata): Readonly<Record<string, string>> {
  const ids = Object.entries(specials).map(
    ([name, field]) => [field, metadata.integer(keyOf(`${name}_token_id`))] as const,
  );
  const texts = metadata.textsAt(keyOf("tokens"), new Set(ids.map(([, id]) => id)));
  return Object.fromEntries(
    ids.flatMap(([field, id]) => {
      const text = texts.get(id ?? -1);
      return text === undefined ? [] : [[field, text]];
    }),
  );
}

export function tokenizerError({ file }: Metadata, problem: string): TextError {
  return new TextError("ERR_TOKENIZER", `${file}: ${problem}`, file);
}
