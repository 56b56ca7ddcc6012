// Contract: which tokens a checkpoint has beside tokenizer.json, and which it puts around a text, are those of transformers.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { collectWarnings } from "../support/warnings.js";
import { addedToken, byteLevelJson, sentencePieceJson } from "./tokenizerFiles.js";

const parse = (json: object, config = {}, others = {}): Tokenizer =>
  Tokenizer.parse(JSON.stringify(json), join("folder", "tokenizer.json"), config, others);
const json = byteLevelJson(["<s>", "</s>"]);
const bytes = (text: string): number[] => [...Buffer.from(text)];

describe("the tokens around a text", () => {
  const names = { bos_token: "<s>", eos_token: { content: "</s>" } };
  const [bos, eos] = [256, 257];
  const template = {
    type: "TemplateProcessing",
    single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
    pair: [],
    special_tokens: {},
  };
  const offsets = { type: "ByteLevel", add_prefix_space: true, trim_offsets: false, use_regex: true };
  const llama = { ...names, tokenizer_class: "LlamaTokenizerFast" };

  test.each<[string, object | null, object, number[], number[]]>([
    ["DeepSeek-R1-Distill", offsets, { ...llama, add_bos_token: true, add_eos_token: false }, [bos], []],
    ["Llama, nothing said", offsets, llama, [bos], []],
    ["Llama, no post-processor", null, llama, [bos], []],
    ["Llama, slow", null, { ...names, tokenizer_class: "LlamaTokenizer" }, [bos], []],
    ["Llama, no BOS", offsets, { ...llama, add_bos_token: false }, [], []],
    ["Llama, both", offsets, { ...llama, add_eos_token: true }, [bos], [eos]],
    ["Llama, EOS alone", offsets, { ...llama, add_bos_token: false, add_eos_token: true }, [], [eos]],
    ["Llama, null is absent", offsets, { ...llama, add_bos_token: null }, [bos], []],
    ["Llama, no name", offsets, { tokenizer_class: "LlamaTokenizer" }, [], []],
    ["Llama, a name without id", offsets, { ...llama, bos_token: "<nope>" }, [], []],
    ["Gemma", offsets, { ...names, tokenizer_class: "GemmaTokenizer" }, [bos], []],
    ["Cohere", offsets, { ...names, tokenizer_class: "CohereTokenizerFast" }, [bos], []],
    ["CodeLlama", offsets, { ...names, tokenizer_class: "CodeLlamaTokenizer" }, [bos], []],
    ["GPT-NeoX, nothing said", offsets, { ...names, tokenizer_class: "GPTNeoXTokenizer" }, [], []],
    [
      "GPT-NeoX",
      offsets,
      { ...names, tokenizer_class: "GPTNeoXTokenizerFast", add_bos_token: true },
      [bos],
      [],
    ],
    [
      "a class that ignores it",
      offsets,
      { ...names, tokenizer_class: "Qwen2Tokenizer", add_bos_token: true },
      [],
      [],
    ],
    [
      "the plain class",
      offsets,
      { ...names, tokenizer_class: "PreTrainedTokenizerFast", add_bos_token: true },
      [],
      [],
    ],
    ["no class, nothing said", offsets, names, [], []],
    ["no class", offsets, { ...names, add_bos_token: true }, [bos], []],
    ["Llama's own template", template, llama, [bos], []],
    ["Llama's own, both", template, { ...llama, add_eos_token: true }, [bos], [eos]],
    ["Llama's own, none", template, { ...llama, add_bos_token: false }, [], []],
    ["CodeLlama's own", template, { ...names, tokenizer_class: "CodeLlamaTokenizerFast" }, [bos], []],
    ["Gemma's own", template, { ...names, tokenizer_class: "GemmaTokenizer" }, [bos], []],
    ["Llama's own in a sequence", { type: "Sequence", processors: [offsets, template] }, llama, [bos], []],
    ["a template stays without a name", template, { tokenizer_class: "LlamaTokenizer" }, [], [eos]],
    ["a template stays without an id", template, { ...llama, bos_token: "<nope>" }, [], [eos]],
    ["a template stays without a class", template, { ...names, add_bos_token: true }, [], [eos]],
    [
      "a template of the plain class stays",
      { type: "Sequence", processors: [offsets, template] },
      { ...names, tokenizer_class: "PreTrainedTokenizerFast", add_bos_token: true },
      [],
      [eos],
    ],
  ])("%s", async (_, postProcessor, config, before, after) => {
    const tokenizer = parse({ ...json, post_processor: postProcessor }, config);
    const long = "some words ".repeat(100);
    for (const text of ["", "a<s>", long]) {
      const inner = [...tokenizer.encode(text, { addSpecialTokens: false })];
      expect([...tokenizer.encode(text)]).toEqual([...before, ...inner, ...after]);
      expect([...(await tokenizer.encodeAsync(text))]).toEqual([...before, ...inner, ...after]);
    }
  });
});

test("ids of tokenizer.json's own added tokens: those of the vocabulary, and no id twice", () => {
  const tokens = [
    addedToken(300, "a"),
    addedToken(98, "<b>"),
    addedToken(301, "<c>"),
    addedToken(301, "<d>"),
  ];
  const tokenizer = parse(byteLevelJson([], { added_tokens: [...tokens, addedToken(400, "<c>")] }));
  expect([...tokenizer.encode("a<b><c><d>b")]).toEqual([97, 256, 301, 302, 98]);
  expect(tokenizer.decode([97, 98, 256, 301], { skipSpecialTokens: false })).toBe("ab<b><c>");
});

describe("added_tokens_decoder", () => {
  const decoder = (tokens: object) => ({ added_tokens_decoder: tokens });

  test("tokens that tokenizer.json lacks, special and not", () => {
    const listed = { 300: { content: "<t>", special: false }, 258: { content: "<m>", special: true } };
    const tokenizer = parse(json, decoder(listed));
    expect([...tokenizer.encode("a<m><t><s>")]).toEqual([...bytes("a"), 258, 300, 256]);
    expect(tokenizer.vocabSize).toBe(301);
    expect(tokenizer.decode([97, 258, 300])).toBe("a<t>");
    expect(tokenizer.decode([97, 258, 300], { skipSpecialTokens: false })).toBe("a<m><t>");
  });

  test("flags of tokens that tokenizer.json has: the file's, but special stays", () => {
    const tokenizer = parse(json, decoder({ 256: { content: "<s>", special: false, lstrip: true } }));
    expect([...tokenizer.encode("a <s>")]).toEqual([...bytes("a"), 256]);
    expect(tokenizer.isSpecial(256)).toBe(true);
    const words = sentencePieceJson(["a"], []);
    const special = parse(words, decoder({ 259: { content: "a", special: true, normalized: false } }));
    expect(special.decode([259])).toBe("");
    expect([...special.encode("a", { addSpecialTokens: false })]).toEqual([259]);
  });

  test("ids: that of the vocabulary, else the file's, else the next", () => {
    const listed = {
      5: { content: "a" },
      256: { content: "<x>" },
      400: { content: "<y>" },
      7: { content: "<z>" },
    };
    const tokenizer = parse(json, decoder(listed));
    const ids = ["a", "<y>", "<z>", "<x>"].map((token) => tokenizer.tokenId(token));
    expect(ids).toEqual([97, 400, 258, 259]);
    expect([...tokenizer.encode("<y>a<z>")]).toEqual([400, 97, 258]);
  });

  test("a Unigram vocabulary", () => {
    const model = {
      type: "Unigram",
      unk_id: 0,
      vocab: [
        ["?", 0],
        ["a", -1],
        ["<m>", -2],
      ],
    };
    const unigram = { ...json, added_tokens: [], pre_tokenizer: null, decoder: null, model };
    const tokenizer = parse(
      unigram,
      decoder({ 9: { content: "<m>", special: true }, 3: { content: "<n>" } }),
    );
    expect([...tokenizer.encode("a<m><n>")]).toEqual([1, 2, 3]);
  });

  test.each<[string, object, string]>([
    ["a list", { added_tokens_decoder: [1] }, "added_tokens_decoder: expected an object"],
    ["an id that is none", decoder({ x: { content: "a" } }), 'added_tokens_decoder["x"]: expected an id'],
    ["an empty id", decoder({ "": { content: "a" } }), 'added_tokens_decoder[""]: expected an id'],
    [
      "an id beyond memory",
      decoder({ 99999999999: { content: "a" } }),
      'added_tokens_decoder["99999999999"]: expected an id',
    ],
    [
      "a flag",
      decoder({ 300: { content: "a", special: "true" } }),
      'added_tokens_decoder["300"].special: expected true or false',
    ],
    ["no object", decoder({ 300: "<m>" }), 'added_tokens_decoder["300"]: expected an object'],
    ["no content", decoder({ 300: {} }), 'added_tokens_decoder["300"].content: expected a string'],
    [
      "empty content",
      decoder({ 300: { content: "" } }),
      'added_tokens_decoder["300"].content: expected a string',
    ],
  ])("malformed: %s", (_, config, message) => {
    const file = join("folder", "tokenizer_config.json");
    const error = { name: "TextError", code: "ERR_TOKENIZER", file };
    expect(() => parse(json, config)).toThrow(expect.objectContaining(error));
    expect(() => parse(json, config)).toThrow(`${file}: ${message}`.slice(0, -1));
  });
});

describe("added_tokens.json", () => {
  const addedTokens = { "<m>": 258, "<n>": 259 };

  test("its tokens; those that are named are special", () => {
    const tokenizer = parse(json, { eos_token: "<m>" }, { addedTokens });
    expect([...tokenizer.encode("a<n><m>")]).toEqual([...bytes("a"), 259, 258]);
    expect(tokenizer.decode([97, 259, 258])).toBe("a<n>");
    expect(tokenizer.eosIds).toEqual([258]);
  });

  test("a token that tokenizer.json has keeps its flags", () => {
    const stripping = { ...json, added_tokens: [{ ...json.added_tokens[0]!, lstrip: true }] };
    const tokenizer = parse(stripping, {}, { addedTokens: { "<s>": 256 } });
    expect([...tokenizer.encode("a <s>")]).toEqual([...bytes("a"), 256]);
    expect(tokenizer.isSpecial(256)).toBe(true);
  });

  test("added_tokens_decoder takes its place", () => {
    const tokenizer = parse(json, { added_tokens_decoder: {} }, { addedTokens });
    expect(tokenizer.tokenId("<m>")).toBeUndefined();
  });

  test("is read from the folder, and named when it is malformed", async () => {
    const folder = mkdtempSync(join(tmpdir(), "warploop-"));
    onTestFinished(() => {
      rmSync(folder, { recursive: true });
    });
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(json));
    writeFileSync(join(folder, "added_tokens.json"), JSON.stringify(addedTokens));
    expect((await Tokenizer.load(folder))!.tokenId("<n>")).toBe(259);
    writeFileSync(join(folder, "added_tokens.json"), '{"<m>": "x"}');
    const error = { code: "ERR_TOKENIZER", file: join(folder, "added_tokens.json") };
    await expect(Tokenizer.load(folder)).rejects.toMatchObject(error);
  });
});

test("a named token of the vocabulary is cut out of a text, one without id is not", () => {
  const words = sentencePieceJson(["a", "b", "ab"], ["a b"], { normalizer: null, post_processor: null });
  expect([...parse(words).encode("ab")]).toEqual([261]);
  expect([...parse(words, { pad_token: "a" }).encode("ab")]).toEqual([259, 260]);
  expect([...parse(words, {}, { specialTokensMap: { sep_token: { content: "b" } } }).encode("ab")]).toEqual([
    259, 260,
  ]);
  const map = { mask_token: { content: "b", lstrip: true, normalized: true } };
  const stripping = parse({ ...words, normalizer: { type: "Lowercase" } }, {}, { specialTokensMap: map });
  expect([...stripping.encode("a B")]).toEqual([259, 260]);
  expect(stripping.isSpecial(260)).toBe(true);
  expect(parse(words, { pad_token: "<pad>" }).tokenId("<pad>")).toBeUndefined();
});

describe("named special tokens of another form are warned about by file and field, and count as absent", () => {
  test.each([
    [
      "tokenizer_config.json",
      { eos_token: ["<|eot|>", "</s>"] },
      'eos_token: expected one token: a text, or an object with its content, got ["<|eot|>", "</s>"]',
    ],
    [
      "special_tokens_map.json",
      { eos_token: ["</s>"] },
      'eos_token: expected one token: a text, or an object with its content, got ["</s>"]',
    ],
    [
      "tokenizer_config.json",
      { bos_token: 1 },
      "bos_token: expected one token: a text, or an object with its content, got 1",
    ],
    [
      "tokenizer_config.json",
      { pad_token: { text: "a" } },
      "pad_token: expected one token: a text, or an object with its content, got {...}",
    ],
    [
      "tokenizer_config.json",
      { eos_token: { content: ["a"] } },
      "eos_token: expected one token: a text, or an object with its content, got {...}",
    ],
    [
      "special_tokens_map.json",
      { additional_special_tokens: "<x>" },
      'additional_special_tokens: expected a list of tokens, got "<x>"',
    ],
    [
      "tokenizer_config.json",
      { additional_special_tokens: ["<x>", 5] },
      'additional_special_tokens: expected a list of tokens, got ["<x>", 5]',
    ],
  ])("%s: %j", async (name, content, says) => {
    const folder = mkdtempSync(join(tmpdir(), "warploop-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(byteLevelJson(["</s>"])));
    writeFileSync(join(folder, name), JSON.stringify(content));
    let eosIds: readonly number[] | undefined;
    const warnings = await collectWarnings(async () => {
      eosIds = (await Tokenizer.load(folder))!.eosIds;
    });
    const message = `${join(folder, name)}: ${says}: what is no token counts as absent`;
    expect(warnings.map((warning) => [warning.code, warning.message])).toEqual([
      ["WARN_BAD_DEFAULT", message],
    ]);
    expect(eosIds).toEqual([]);
  });

  test("nothing is said of null, texts, objects, lists and dicts of tokens", async () => {
    const folder = mkdtempSync(join(tmpdir(), "warploop-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const token = { content: "</s>", special: true };
    const config = {
      eos_token: token,
      bos_token: null,
      unk_token: "",
      pad_token: "</s>",
      additional_special_tokens: ["</s>", token],
    };
    writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(byteLevelJson(["</s>"])));
    writeFileSync(
      join(folder, "tokenizer_config.json"),
      JSON.stringify({ ...config, extra_special_tokens: { image_token: "</s>" } }),
    );
    writeFileSync(
      join(folder, "special_tokens_map.json"),
      JSON.stringify({ ...config, extra_special_tokens: [] }),
    );
    expect(await collectWarnings(() => Tokenizer.load(folder))).toEqual([]);
  });
});
