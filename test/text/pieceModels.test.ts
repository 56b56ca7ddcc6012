// Contract: WordPiece and Unigram models from flat arrays give the tokens of the library's own, for every vocabulary that is
// accepted, and a large vocabulary is neither copied between threads as objects nor made at once.
import { serialize } from "node:v8";
import * as library from "@huggingface/tokenizers";
import { expect, test } from "vitest";
import { runNow } from "../../lib/eventLoop.js";
import type { LibraryModel } from "../../lib/text/libraryModel.js";
import { pieceModel } from "../../lib/text/pieceModels.js";
import { charsAtOnce, pieceTables } from "../../lib/text/pieceTables.js";
import { prepareTokenizer } from "../../lib/text/preparedTokenizer.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import type { JsonObject } from "../../lib/checkpoint/json.js";
import { Random } from "../support/random.js";

interface Model {
  _call(words: string[]): string[];
}
const { Unigram, WordPiece } = library as unknown as Record<
  string,
  new (model: object, eos?: string) => Model & LibraryModel
>;
const eos = "</s>";
const ours = (json: JsonObject): Model & LibraryModel => runNow(pieceModel(json, pieceTables(json)!, eos));

const letters = [..."abc▁", "é", "漢", "😀", "\ud800", " "];
const word = (random: Random, most: number): string =>
  Array.from({ length: random.integer(0, most) }, () => letters[random.integer(0, letters.length)]).join("");

function randomUnigram(random: Random): JsonObject {
  const pieces = ["<unk>", eos, ...Array.from({ length: 60 }, () => word(random, 5))]; // some twice, some empty
  const vocab = pieces.map((piece) => [piece, -random.integer(0, 1000) / 64]);
  return { type: "Unigram", vocab, unk_id: random.integer(0, 3) };
}

function randomWordPiece(random: Random): JsonObject {
  const pieces = new Set(["[UNK]", "7", "3", ...letters]);
  while (pieces.size < 60) pieces.add((random.integer(0, 2) === 0 ? "##" : "") + word(random, 4));
  const vocab = Object.fromEntries([...pieces].map((piece, i) => [piece, 2 * i]));
  const prefix = { continuing_subword_prefix: "##", max_input_chars_per_word: 12 };
  return { type: "WordPiece", vocab, unk_token: "[UNK]", ...prefix };
}

test.each([
  ["Unigram", randomUnigram, Unigram!],
  ["WordPiece", randomWordPiece, WordPiece!],
] as const)("random vocabularies and words: %s", (_, randomModel, Library) => {
  const random = new Random(7);
  for (let round = 0; round < 60; round++) {
    const json = randomModel(random);
    const [mine, theirs] = [ours(json), new Library(json, eos)];
    for (const field of [
      "unk_token_id",
      "unk_token",
      "bos_token_id",
      "eos_token_id",
      "min_score",
      "unk_score",
    ]) {
      expect(mine[field as keyof typeof mine], field).toEqual(theirs[field as keyof typeof theirs]);
    }
    expect([...mine.tokens_to_ids]).toEqual([...theirs.tokens_to_ids]);
    for (let i = 0; i < 60; i++) {
      const words = [word(random, 16), word(random, 3)];
      // The library fuses unknown characters across words, too.
      const idsOf = (model: LibraryModel, tokens: string[]) =>
        tokens.map((token) => model.tokens_to_ids.get(token) ?? model.unk_token_id);
      const apart = words.flatMap((one) => idsOf(theirs, theirs._call([one])));
      expect(idsOf(mine, mine._call(words)), words.join("|")).toEqual(apart);
    }
  }
});

test("a Unigram model takes long words, known and not", () => {
  const vocab = ["<unk>", "a", "b", "ab"].map((piece) => [piece, -1]);
  const model = ours({ type: "Unigram", vocab, unk_id: 0 });
  expect(model._call(["ab".repeat(200_000)])).toEqual(Array(200_000).fill("ab"));
  expect(model._call(["€".repeat(300_000)])).toEqual(["€".repeat(300_000)]);
});

test("WordPiece: the longest piece first, in a time that does not depend on how long words may be", () => {
  const pieces = ["[UNK]", "a", "b", "##a", "##b", "##ab", "aba", "##c"];
  const json = { type: "WordPiece", vocab: Object.fromEntries(pieces.map((piece, i) => [piece, i])) };
  const model = ours({
    ...json,
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 1000,
  });
  expect(model._call(["abaab", "abax", "cab", "##a"])).toEqual(["aba", "##ab", "[UNK]", "[UNK]", "##a"]);
  const words = Array<string>(200).fill("ab".repeat(500)); // seconds a word, piece by piece from the end
  expect(model._call(words).length).toBe(200 * 500);
  expect(() => ours({ ...json, continuing_subword_prefix: "##" })._call(["x"])).toThrow("unknown token");
});

test("pieces are long: the event loop encodes less text at once", () => {
  expect(charsAtOnce(undefined)).toBe(4096);
  const withPiece = (length: number) =>
    charsAtOnce(pieceTables({ type: "Unigram", vocab: [["a".repeat(length), 0]], unk_id: 0 }));
  expect(withPiece(16)).toBe(4096);
  expect(withPiece(60_000)).toBe(5);
});

const numPieces = 50_000;
const pieces = Array.from({ length: numPieces }, (_, i) => `▁${i.toString(26)}`);
test.each<[string, JsonObject]>([
  [
    "Unigram",
    { type: "Unigram", vocab: [["<unk>", 0], ...pieces.map((piece, i) => [piece, -i / 1000])], unk_id: 0 },
  ],
  [
    "WordPiece",
    { type: "WordPiece", vocab: Object.fromEntries(pieces.map((p, i) => [p, i])), unk_token: pieces[0]! },
  ],
])("a large vocabulary is made in steps, from arrays: %s", (_, model) => {
  const json = JSON.stringify({
    model,
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: null,
    decoder: null,
  });
  const files = { config: {}, specialTokensMap: {}, addedTokens: {} };
  const prepared = prepareTokenizer(json, "t.json", files);
  expect(serialize(prepared.definition).length).toBeLessThan(2_000);
  const steps = Tokenizer.make(prepared);
  let numSteps = 0;
  let step = steps.next();
  for (; !step.done; step = steps.next()) numSteps++;
  expect(numSteps).toBeGreaterThanOrEqual(numPieces / 2048);
  expect(step.value.tokenId(pieces[numPieces - 1]!)).toBe(step.value.vocabSize - 1);
});
