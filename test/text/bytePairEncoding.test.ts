// Contract: the tokens of a word are those of the library's byte pair encoding, for every vocabulary and merge list that it
// accepts, and a merge table finds what was put in.
import * as library from "@huggingface/tokenizers";
import { expect, test } from "vitest";
import { runNow } from "../../lib/eventLoop.js";
import { bpeTables, MergeTable } from "../../lib/text/bpeTables.js";
import { BytePairEncoding } from "../../lib/text/bytePairEncoding.js";
import type { JsonObject } from "../../lib/checkpoint/json.js";
import { Random } from "../support/random.js";
import { tokenizerJson } from "./checkpoint.js";

interface Model {
  encode(words: string[]): string[];
}
const { BPE } = library as unknown as { BPE: new (model: object) => Model };
const { model } = JSON.parse(tokenizerJson) as {
  model: { merges: unknown[]; vocab: Record<string, number> };
};
const ours = (json: JsonObject): Model =>
  runNow(BytePairEncoding.make(json, bpeTables(json)!)) as unknown as Model;

const letters = [..."ab\u0120", "é", "漢", "😀", "\ud800", "1"];

/** Few letters, so that merges meet each other; some of what they name is in no vocabulary, and some come twice. */
function randomModel(random: Random): JsonObject {
  const parts = [...letters];
  const merges: [string, string][] = [];
  for (let i = 0; i < 40; i++) {
    const [left, right] = [parts[random.integer(0, parts.length)]!, parts[random.integer(0, parts.length)]!];
    merges.push([left, right]);
    if (left.length + right.length < 12) parts.push(left + right);
  }
  const known = [...new Set(parts)].filter(() => random.integer(0, 6) > 0);
  const vocab = Object.fromEntries([...known, "<unk>"].map((token, id) => [token, id]));
  const asText = random.integer(0, 2) === 0;
  return {
    type: "BPE",
    vocab,
    merges: asText ? merges.map((pair) => pair.join(" ")) : merges,
    unk_token: random.integer(0, 2) === 0 ? "<unk>" : null,
    ignore_merges: random.integer(0, 2) === 0,
    fuse_unk: random.integer(0, 3) === 0,
  };
}

test("random models and words", () => {
  const random = new Random(21);
  for (let round = 0; round < 60; round++) {
    const json = randomModel(random);
    const [mine, theirs] = [ours(json), new BPE(json)];
    for (let i = 0; i < 60; i++) {
      const few = letters.slice(random.integer(0, 4), random.integer(4, letters.length + 1));
      const word = Array.from(
        { length: random.integer(0, 40) },
        () => few[random.integer(0, few.length)],
      ).join("");
      expect(mine.encode([word]), word).toEqual(theirs.encode([word]));
    }
  }
});

test("words of tiny-moe, short and long", () => {
  const json = model as unknown as JsonObject;
  const [mine, theirs] = [ours(json), new BPE(json)];
  const random = new Random(22);
  const tokens = Object.keys(model.vocab);
  for (const length of [1, 2, 5, 30, 400, 3000]) {
    for (let i = 0; i < 20; i++) {
      const few = Array.from(
        { length: random.integer(1, 9) },
        () => tokens[random.integer(0, tokens.length)]!,
      );
      const word = Array.from({ length }, () => few[random.integer(0, few.length)]).join("");
      expect(mine.encode([word, word])).toEqual(theirs.encode([word, word]));
    }
  }
});

test.each<[string, unknown[]]>([
  ["texts without a space, with two", ["ab", "a b c", "a b"]],
  ["lists that are no pair, or hold no texts", [["a", "b", "c"], [1, 2], ["a", "b"], "b a", null]],
  ["the same pair twice: the later rank counts", ["a b", "b c", "a b"]],
  ["the empty text", [" b", "a "]],
  ["nothing", []],
])("odd merges: %s", (_, merges) => {
  const json = { type: "BPE", vocab: { a: 0, b: 1, c: 2, ab: 3, bc: 4 }, merges, unk_token: null };
  const [mine, theirs] = [ours(json), new BPE(json)];
  for (const word of ["", "a", "ab", "abc", "abab", "bca"])
    expect(mine.encode([word])).toEqual(theirs.encode([word]));
});

test("what the library has to do itself has no tables", () => {
  const json = { type: "BPE", vocab: { a: 0 }, merges: [], unk_token: null };
  expect(bpeTables({ ...json, end_of_word_suffix: "</w>" })).toBeUndefined();
  expect(bpeTables({ ...json, continuing_subword_suffix: "@@" })).toBeUndefined();
  expect(bpeTables({ ...json, type: "WordPiece" })).toBeUndefined();
});

test("a table holds every pair, and no other", () => {
  const random = new Random(23);
  const table = new MergeTable(1000);
  const pairs = new Map<string, readonly [number, number, number]>();
  for (let rank = 0; rank < 1000; rank++) {
    const pair = [random.integer(0, 60), random.integer(0, 60), rank] as const;
    pairs.set(pair.slice(0, 2).join(), pair);
    table.set(pair[0], pair[1], rank, rank + 1);
  }
  for (let left = 0; left < 60; left++) {
    for (let right = 0; right < 60; right++) {
      const at = table.find(left, right);
      const pair = pairs.get([left, right].join());
      expect(at < 0 ? undefined : [...table.slots.slice(at + 2, at + 4)]).toEqual(
        pair && [pair[2], pair[2] + 1],
      );
    }
  }
});
