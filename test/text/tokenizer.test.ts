// Contract: ids and text are those of Hugging Face; encodeAsync equals encode and lets the event loop run; whatever is
// wrong with a file is a TextError that names it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { Random } from "../support/random.js";
import { turnsDuring } from "../support/turns.js";
import {
  goldens,
  modelFolder,
  modelNames,
  splitThenBytes,
  tokenBytes,
  tokenizerConfig,
  tokenizerJson,
  variant,
} from "./checkpoint.js";

const parse = (json: object, config = {}): Tokenizer =>
  Tokenizer.parse(JSON.stringify(json), "t.json", config);
const load = async (name: string): Promise<Tokenizer> => (await Tokenizer.load(modelFolder(name)))!;
const tinyMoe = await load("tiny-moe");
const firstSpecialId = 1021;

describe.each(modelNames)("%s", (name) => {
  test.each(goldens(name))("$prompt", async ({ prompt, prompt_ids: ids, greedy_ids: greedyIds }) => {
    const tokenizer = await load(name);
    expect([...tokenizer.encode(prompt)]).toEqual(ids);
    expect([...(await tokenizer.encodeAsync(prompt))]).toEqual(ids);
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe(prompt);

    const bytes = tokenBytes();
    const expected = greedyIds.filter((id) => id < firstSpecialId).flatMap((id) => [...bytes.get(id)!]);
    expect(tokenizer.decode(greedyIds)).toBe(Buffer.from(expected).toString("utf8"));
  });
});

test("knows its special tokens", () => {
  expect(tinyMoe).toMatchObject({
    vocabSize: 1024,
    eosToken: "<|im_end|>",
    eosId: 1023,
    decodesInWindows: true,
  });
  expect(tinyMoe).toMatchObject({ bosToken: undefined, bosId: undefined });
  expect([...tinyMoe.specialIds].sort()).toEqual([1021, 1022, 1023]);
  expect([1020, 1021].map((id) => tinyMoe.isSpecial(id))).toEqual([false, true]);
  expect(tinyMoe.tokenId("<|im_start|>")).toBe(1022);
  expect(tinyMoe.tokenId("no such token")).toBeUndefined();
});

test("special tokens of tokenizer_config.json are special, as text or as object", () => {
  const [a, b] = [tinyMoe.encode("a")[0]!, tinyMoe.encode("b")[0]!];
  const tokenizer = parse(variant({}), { bos_token: { content: "a" }, additional_special_tokens: ["b"] });
  expect(tokenizer).toMatchObject({ bosToken: "a", bosId: a });
  expect(tokenizer.decode([a, b, ...tinyMoe.encode("c")])).toBe("c");
});

test("special_tokens_map.json: wins over tokenizer_config.json unless that has added_tokens_decoder", () => {
  const [a, b, c] = ["a", "b", "c"].map((text) => tinyMoe.encode(text)[0]!);
  const config = { bos_token: "a", eos_token: "b", extra_special_tokens: { image_token: "c" } };
  const map = { bos_token: { content: "b" }, eos_token: "a", additional_special_tokens: [{ content: "b" }] };
  const withMap = (fields: object): Tokenizer =>
    Tokenizer.parse(tokenizerJson, "t.json", { ...config, ...fields }, { specialTokensMap: map });
  expect(withMap({})).toMatchObject({ bosId: b, eosId: a, eosIds: [a, b] });
  const newer = withMap({ added_tokens_decoder: {} });
  expect(newer).toMatchObject({ bosId: a, eosId: b, eosIds: [b, a] });
  expect([a, b, c].every((id) => newer.isSpecial(id!))).toBe(true);
});

test("decode: nothing, ids without token, special tokens, text that looks like a mistake", () => {
  expect(tinyMoe.decode([])).toBe("");
  expect(tinyMoe.decode([5000, 2 ** 31 - 1])).toBe("");
  expect(tinyMoe.decode(Int32Array.of(1022, ...tinyMoe.encode("hi"), 5000, 1023))).toBe("hi");
  expect(tinyMoe.decode([1022], { skipSpecialTokens: false })).toBe("<|im_start|>");
  for (const text of [" , n't 's .", "  two\t\n\n", "\ufeffmark", "a\u0000b", "\ufffd", "👩‍👩‍👧 안녕"]) {
    expect(tinyMoe.decode(tinyMoe.encode(text))).toBe(text);
  }
});

test.each([-1, 1.5, NaN, 2 ** 31, "5"])("refuses the id %s", (id) => {
  expect(() => tinyMoe.decode([id as number])).toThrow(
    expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }),
  );
});

test("refuses a text that is no string", async () => {
  const error = expect.objectContaining({ code: "ERR_ARGUMENT_TYPE" }) as Error;
  expect(() => tinyMoe.encode(undefined as unknown as string)).toThrow(error);
  await expect(tinyMoe.encodeAsync(7 as unknown as string)).rejects.toThrow(error);
});

describe("encodeAsync", () => {
  const frame = {
    type: "TemplateProcessing",
    single: [
      { SpecialToken: { id: "<|im_start|>", type_id: 0 } },
      { Sequence: { id: "A", type_id: 0 } },
      { SpecialToken: { id: "<|im_end|>", type_id: 0 } },
    ],
    pair: [],
    special_tokens: {},
  };
  const twice = { ...frame, single: [frame.single[1], frame.single[0], frame.single[1]] };
  const spaces = { id: 1024, content: "<|rstrip d|>", rstrip: true, special: true, normalized: false };
  const strips = { id: 1024, content: "<|s|>", lstrip: true, rstrip: true, special: true, normalized: false };
  const addedTokens = variant({})["added_tokens"] as object[];
  const random = new Random(1);
  const vocabulary = [
    "fox",
    " Wren",
    "안녕하세요",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    ".",
    ",",
    "12",
    "é",
    "e\u0301",
    "🦊",
  ];
  const marks = ["<|im_end|>", "。", "，", "字", "'s", "x ", "<|s|>", "<|s|>", "<|rstrip d|>"];
  const pieces = [...vocabulary, ...marks, "a b", "c\nd"];
  const long = Array.from({ length: 8000 }, () => pieces[random.integer(0, pieces.length)]).join("");

  test.each<[string, object, object]>([
    ["tiny-moe", {}, {}],
    ["tokens before and after", { post_processor: frame }, {}],
    ["the text twice: one piece", { post_processor: twice }, {}],
    ["not the text at all: one piece", { post_processor: { ...frame, single: [frame.single[0]] } }, {}],
    ["an added token that strips", { added_tokens: [...addedTokens, strips] }, {}],
    ["an added token with a space: one piece", { added_tokens: [...addedTokens, spaces] }, {}],
    ["an unknown pattern: one piece", { pre_tokenizer: splitThenBytes(".{1,7}|\\n") }, {}],
    ["lower case without accents: one piece", {}, { do_lowercase_and_remove_accent: true }],
  ])("equals encode: %s", async (_, fields, config) => {
    const tokenizer = parse(variant({ ...fields }), config);
    for (const addSpecialTokens of [true, false]) {
      const options = { addSpecialTokens };
      expect(await tokenizer.encodeAsync(long, options)).toEqual(tokenizer.encode(long, options));
      expect(await tokenizer.encodeAsync("a b", options)).toEqual(tokenizer.encode("a b", options));
    }
  });

  test("adds the special tokens once", async () => {
    const tokenizer = parse(variant({ post_processor: frame }));
    for (const ids of [tokenizer.encode(long), await tokenizer.encodeAsync(long)]) {
      expect(ids.filter((id) => id === 1022)).toHaveLength(1);
      expect([ids[0], ids.at(-1)]).toEqual([1022, 1023]);
    }
  });

  // How long a pause is, is measured by no test: it depends on the machine. A piece of 300 characters takes about 1 ms.
  test("100 KB are encoded in short pieces, and the event loop turns in between", async () => {
    const words = Array.from({ length: 20_000 }, () => random.integer(0, 36 ** 5).toString(36));
    const text = words.join(" ").slice(0, 100_000);
    const encode = vi.spyOn(tinyMoe, "encode");
    const numTurns = await turnsDuring(() => tinyMoe.encodeAsync(text));
    const longest = Math.max(...encode.mock.calls.map(([piece]) => piece.length));
    encode.mockRestore();
    expect(longest).toBeLessThanOrEqual(300);
    expect(numTurns).toBeGreaterThan(10);
  });
});

describe("files", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "warploop-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  test("no tokenizer.json: no tokenizer", async () => {
    expect(await Tokenizer.load(folder)).toBeNull();
    expect(await Tokenizer.load(join(folder, "missing"))).toBeNull();
  });

  test("no tokenizer_config.json: no named tokens; a malformed one is named", async () => {
    writeFileSync(join(folder, "tokenizer.json"), tokenizerJson);
    expect(await Tokenizer.load(folder)).toMatchObject({ eosId: undefined });
    writeFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(tokenizerConfig).slice(0, -5));
    const error = { name: "TextError", code: "ERR_TOKENIZER" };
    const file = join(folder, "tokenizer_config.json");
    await expect(Tokenizer.load(folder)).rejects.toMatchObject({ ...error, file });
    rmSync(file);
    const mapFile = join(folder, "special_tokens_map.json");
    writeFileSync(mapFile, "[]");
    await expect(Tokenizer.load(folder)).rejects.toMatchObject({ ...error, file: mapFile });
    rmSync(mapFile);
  });
});

const nested = (depth: number): object => {
  let stage: object = { type: "NFC" };
  for (let i = 0; i < depth; i++) stage = { type: "Sequence", normalizers: [stage] };
  return stage;
};
const withModel = (fields: object): object =>
  variant({ model: { ...(variant({})["model"] as object), ...fields } });
const doubling = { type: "Replace", pattern: { String: "a" }, content: "aa" };

test.each<[string, string, string]>([
  ["truncated", tokenizerJson.slice(0, 9000), "not valid JSON"],
  ["empty", "", "not valid JSON"],
  ["an array", "[]", "expected a JSON object"],
  ["no model", JSON.stringify(variant({ model: undefined })), "model: expected an object"],
  ["a model of unknown type", JSON.stringify(withModel({ type: "Nope" })), "model.type"],
  ["a vocabulary of text", JSON.stringify(withModel({ vocab: "abc" })), "model.vocab"],
  ["a negative id", JSON.stringify(withModel({ vocab: { a: -1 } })), 'model.vocab["a"]'],
  ["an id beyond memory", JSON.stringify(withModel({ vocab: { a: 2 ** 40 } })), 'model.vocab["a"]'],
  ["merges that are numbers", JSON.stringify(withModel({ merges: [1, 2] })), "model.merges[0]"],
  ["no merges", JSON.stringify(withModel({ merges: undefined })), "model.merges"],
  [
    "an added token without text",
    JSON.stringify(variant({ added_tokens: [{ id: 3 }] })),
    "added_tokens[0].content",
  ],
  ["an unknown stage", JSON.stringify(variant({ normalizer: { type: "Nope" } })), "normalizer.type"],
  [
    "a pattern without form",
    JSON.stringify(variant({ pre_tokenizer: { type: "Split", pattern: {} } })),
    "pattern",
  ],
  ["a malformed pattern", JSON.stringify(variant({ pre_tokenizer: splitThenBytes("(") })), "cannot read it"],
  [
    "pieces of length 0",
    JSON.stringify(variant({ pre_tokenizer: { type: "FixedLength", length: 0 } })),
    "length",
  ],
  ["deep nesting", JSON.stringify(variant({ normalizer: nested(500) })), "at most 32 stages"],
  [
    "a text that explodes",
    JSON.stringify(variant({ normalizer: { type: "Sequence", normalizers: Array(20).fill(doubling) } })),
    "64 times longer",
  ],
  [
    "a template with unknown tokens",
    JSON.stringify(
      variant({
        post_processor: { type: "TemplateProcessing", single: [{ SpecialToken: { id: "<nope>" } }] },
      }),
    ),
    'post_processor: expected a token of the vocabulary, got "<nope>"',
  ],
])("malformed: %s", (_, json, part) => {
  const error = { name: "TextError", code: "ERR_TOKENIZER", file: "some/tokenizer.json" };
  const read = (): Tokenizer => Tokenizer.parse(json, "some/tokenizer.json");
  expect(read).toThrow(expect.objectContaining(error));
  expect(read).toThrow("some/tokenizer.json");
  expect(read).toThrow(part);
});

test("a regular expression of exponential time is stopped", () => {
  const tokenizer = parse(variant({ pre_tokenizer: splitThenBytes("^(a+)+$") }));
  expect([...tokenizer.encode("ab")].length).toBeGreaterThan(0);
  const start = performance.now();
  expect(() => tokenizer.encode(`${"a".repeat(60)}b`)).toThrow("took longer than");
  expect(performance.now() - start).toBeLessThan(5_000);
  expect([...tokenizer.encode("ab")].length).toBeGreaterThan(0);
});

test("encodeAsync leaves what takes long of it to another thread", async () => {
  const tokenizer = parse(variant({ pre_tokenizer: splitThenBytes("^(a+)+$") }));
  expect(await tokenizer.encodeAsync("ab")).toEqual(tokenizer.encode("ab"));
  const turns = await turnsDuring(async () => {
    await expect(tokenizer.encodeAsync(`${"a".repeat(60)}b`)).rejects.toThrow("took longer than");
  });
  expect(turns).toBeGreaterThan(20);
  expect(await tokenizer.encodeAsync("ab")).toEqual(tokenizer.encode("ab"));
  await tokenizer.endThread();
});
