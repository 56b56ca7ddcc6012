/**
 * The tokenizer of a GGUF file as the tokenizer.json that it was made from would have it: lib/text reads and checks that, so there is no
 * second tokenizer. The texts of a large vocabulary are written in turns with other work.
 */
import { type JsonObject, show } from "../checkpoint/json.js";
import type { Steps } from "../eventLoop.js";
import { waitFor } from "../eventLoop.js";
import type { PreparedTokenizer } from "../text/preparedTokenizer.js";
import { prepareFile } from "../text/tokenizerFolder.js";
import type { Metadata } from "./metadata.js";
import { preTokenizerNames, preTokenizerOf } from "./preTokenizers.js";
import { mergesOf } from "./sentencePiece.js";
import {
  itemsPerStep,
  keyOf,
  readVocabulary,
  specialTexts,
  tokenizerError,
  tokenTypes,
  type VocabularyToken,
} from "./vocabulary.js";

/**
 * @returns null for a file without a tokenizer
 * @throws TextError ERR_TOKENIZER for a kind that is not known, and what is wrong with one that is
 */
export function* ggufTokenizer(metadata: Metadata): Steps<PreparedTokenizer | null> {
  const kind = metadata.text(keyOf("model"));
  if (kind === undefined || kind === "none" || kind === "no_vocab") return null;
  const write = kind === "gpt2" ? writeByteLevel : kind === "llama" ? writeSentencePiece : undefined;
  if (!write)
    throw tokenizerError(
      metadata,
      `${keyOf("model")}: expected "gpt2" or "llama", got ${show(kind)}, which is not read`,
    );
  const tokens = yield* readVocabulary(metadata);
  const json = (yield* write(metadata, tokens)).join("");
  const files = { config: specialTexts(metadata), specialTokensMap: {}, addedTokens: {} };
  return yield* waitFor(prepareFile(Buffer.from(json), metadata.file, files));
}

function* writeByteLevel(metadata: Metadata, tokens: readonly VocabularyToken[]): Steps<string[]> {
  const pre = metadata.text(keyOf("pre"));
  const kind = preTokenizerOf(pre ?? "default");
  if (!kind) {
    const expected = `one of ${preTokenizerNames.join(", ")}`;
    throw tokenizerError(metadata, `${keyOf("pre")}: expected ${expected}, got ${show(pre)}`);
  }
  const isAdded = ({ type }: VocabularyToken): boolean =>
    type === tokenTypes.control || type === tokenTypes.userDefined || type === tokenTypes.unknown;
  const outer = {
    ...frame(metadata, tokens, kind.addBos),
    ...{ normalizer: kind.normalizer, pre_tokenizer: kind.preTokenizer, decoder: { type: "ByteLevel" } },
  };
  const model = { type: "BPE", unk_token: null, byte_fallback: false, ignore_merges: kind.ignoreMerges };
  const merges = metadata.texts(keyOf("merges"));
  if (!merges) throw tokenizerError(metadata, `${keyOf("merges")}: expected a list, got nothing`);
  return yield* writeJson(outer, model, {
    vocab: tokens.filter((token) => !isAdded(token)),
    merges: splitMerges(metadata, merges.items),
    added: tokens.filter(isAdded),
  });
}

/** Each is two tokens with a space between them; the first may be a space. */
function* splitMerges(metadata: Metadata, merges: Iterable<string>): Generator<readonly [string, string]> {
  for (const merge of merges) {
    const space = merge.indexOf(" ", 1);
    if (space < 0)
      throw tokenizerError(metadata, `${keyOf("merges")}: expected two tokens, got ${show(merge)}`);
    yield [merge.slice(0, space), merge.slice(space + 1)];
  }
}

function* writeSentencePiece(metadata: Metadata, tokens: readonly VocabularyToken[]): Steps<string[]> {
  const scores = metadata.numbers(keyOf("scores"));
  const size = metadata.texts(keyOf("tokens"))!.count;
  if (scores?.count !== size) {
    const problem = `expected one for each of ${size} tokens, got ${scores?.count ?? "nothing"}`;
    throw tokenizerError(metadata, `${keyOf("scores")}: ${problem}`);
  }
  const merges = yield* mergesOf(tokens, Float64Array.from(scores.items));
  const hasPrefix = flag(metadata, "add_space_prefix", true);
  const spaces = { type: "Replace", pattern: { String: " " }, content: "▁" };
  const first = { type: "Prepend", prepend: "▁" };
  const back = { type: "Replace", pattern: { String: "▁" }, content: " " };
  const strip = { type: "Strip", content: " ", start: 1, stop: 0 };
  const outer = {
    ...frame(metadata, tokens, true),
    normalizer: { type: "Sequence", normalizers: [...(hasPrefix ? [first] : []), spaces] },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [back, { type: "ByteFallback" }, { type: "Fuse" }, ...(hasPrefix ? [strip] : [])],
    },
  };
  const unknown = tokens.find(({ type }) => type === tokenTypes.unknown)?.text ?? null;
  const hasBytes = tokens.some(({ type }) => type === tokenTypes.byte);
  const model = { type: "BPE", unk_token: unknown, fuse_unk: true, byte_fallback: hasBytes };
  const isAdded = ({ type }: VocabularyToken): boolean =>
    type === tokenTypes.control || type === tokenTypes.userDefined || type === tokenTypes.unknown;
  return yield* writeJson(outer, model, {
    vocab: tokens.filter(({ type }) => type !== tokenTypes.userDefined),
    merges,
    added: tokens.filter(isAdded),
  });
}

/** Which tokens go before and after a text. */
function frame(metadata: Metadata, tokens: readonly VocabularyToken[], addsBos: boolean): JsonObject {
  const part = (name: "bos" | "eos", isDefault: boolean): readonly JsonObject[] => {
    const id = metadata.integer(keyOf(`${name}_token_id`));
    const token = tokens.find((one) => one.id === id);
    return token && flag(metadata, `add_${name}_token`, isDefault) ? [token as unknown as JsonObject] : [];
  };
  const [before, after] = [part("bos", addsBos), part("eos", false)];
  if (before.length + after.length === 0) return { post_processor: null };
  const special = ({ text }: JsonObject) => ({ SpecialToken: { id: text, type_id: 0 } });
  const named = [...before, ...after].map(({ text, id }) => [text, { id: text, ids: [id], tokens: [text] }]);
  const single = [...before.map(special), { Sequence: { id: "A", type_id: 0 } }, ...after.map(special)];
  return {
    post_processor: {
      ...{ type: "TemplateProcessing", single, pair: [] },
      special_tokens: Object.fromEntries(named) as JsonObject,
    },
  };
}

function flag(metadata: Metadata, name: string, absent: boolean): boolean {
  const value = metadata.value(keyOf(name)) ?? absent;
  return typeof value === "boolean" ? value : metadata.fail(keyOf(name), "true or false");
}

/** The text of a tokenizer.json, in pieces. */
function* writeJson(
  outer: JsonObject,
  model: JsonObject,
  lists: {
    readonly vocab: readonly VocabularyToken[];
    readonly merges: Iterable<readonly [string, string]>;
    readonly added: readonly VocabularyToken[];
  },
): Steps<string[]> {
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false };
  const added = lists.added.map(({ id, text, type }) => ({
    ...{ id, content: text, ...flags, special: type !== tokenTypes.userDefined },
  }));
  const parts = [JSON.stringify({ ...outer, added_tokens: added }).slice(0, -1), ',"model":'];
  parts.push(JSON.stringify(model).slice(0, -1), ',"vocab":{');
  yield* writeItems(parts, lists.vocab, ({ id, text }) => `${JSON.stringify(text)}:${id}`);
  parts.push('},"merges":[');
  yield* writeItems(parts, lists.merges, (pair) => JSON.stringify(pair));
  parts.push("]}}");
  return parts;
}

function* writeItems<T>(parts: string[], items: Iterable<T>, write: (item: T) => string): Steps<void> {
  let count = 0;
  for (const item of items) {
    parts.push(count === 0 ? write(item) : `,${write(item)}`);
    if (++count % itemsPerStep === 0) yield;
  }
}
