// Contract: the table of a format's tokens stands for the tokenizer: a parser reads with it what it reads with the tokenizer itself.
import { expect, test } from "vitest";
import { families, reasonings } from "../../toolcalls/families.js";
import { OutputParser } from "../../toolcalls/parser.js";
import { TableVocabulary, tokenTableOf } from "../../toolcalls/tokenTable.js";
import { parse } from "./parse.js";
import { tools } from "./sample.js";
import { ToyVocabulary } from "./vocabulary.js";

const special = ["<|im_end|>", "<|other|>"];
const toy = new ToyVocabulary(["<tool_call>", "</tool_call>", "<think>", "</think>"], special);
const tokenizer = Object.assign(toy, { specialIds: new Set(special.map((token) => toy.tokenId(token)!)) });
const syntax = families.find(({ name }) => name === "hermes");
const [reasoning] = reasonings;

test.each([
  '<think>a</think>b<|other|><tool_call>{"name": "now", "arguments": {}}</tool_call><|im_end|>',
  "<|other|><think>a</tool_call>",
])("%s", (text) => {
  const table = structuredClone(tokenTableOf(tokenizer as never, { syntax, reasoning }));
  const read = (vocabulary: TableVocabulary | ToyVocabulary) => {
    const options = { syntax, reasoning, tools, vocabulary, startsInReasoning: false };
    return parse(new OutputParser(options), toy.chunks(text));
  };
  const ofTable = read(new TableVocabulary(table));
  const ofTokenizer = read(toy);
  expect({ ...ofTable, calls: ofTable.calls.length }).toEqual({
    ...ofTokenizer,
    calls: ofTokenizer.calls.length,
  });
  expect(JSON.stringify(ofTable)).not.toContain("other");
});
