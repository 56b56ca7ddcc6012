// Contract: readConfig and ConfigReader give typed fields, or a CheckpointError with file, field, expected and got.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CheckpointError } from "../../lib/errors.js";
import { ConfigReader, readConfig } from "../../lib/checkpoint/config.js";
import { collectWarnings } from "../support/warnings.js";

let root: string;
let count = 0;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "warploop-config-"));
});
afterAll(async () => {
  await rm(root, { recursive: true, force: true });
});

async function folderOf(config: object | string, generation?: object | string): Promise<string> {
  const folder = join(root, String(count++));
  await mkdir(folder);
  const text = (value: object | string): string =>
    typeof value === "string" ? value : JSON.stringify(value);
  await writeFile(join(folder, "config.json"), text(config));
  if (generation !== undefined) await writeFile(join(folder, "generation_config.json"), text(generation));
  return folder;
}

const base = { architectures: ["LlamaForCausalLM"] };

/** `sampling` of a file that says nothing. */
const nothing = {
  ...{ doSample: undefined, temperature: undefined, topK: undefined, topP: undefined },
  ...{ minP: undefined, repetitionPenalty: undefined },
};

describe("readConfig", () => {
  test.each([
    ["gpt2", "GPT2LMHeadModel", 383],
    ["llama", "LlamaForCausalLM", 383],
    ["qwen3", "Qwen3ForCausalLM", 511],
    ["qwen3_moe", "Qwen3MoeForCausalLM", 383],
    ["mixtral", "MixtralForCausalLM", 383],
  ])("golden config %s", async (family, architecture, eos) => {
    const config = await readConfig(fileURLToPath(new URL(`../goldens/${family}`, import.meta.url)));
    expect(config).toMatchObject({ architecture, eosTokenIds: [eos], bosTokenId: eos - 1 });
    expect(config.reader.positiveInt(["hidden_size", "n_embd"])).toBe(128);
  });

  const eosCases: readonly (readonly [string, object, object | undefined, number[]])[] = [
    ["number in config", { eos_token_id: 5 }, undefined, [5]],
    ["list in config", { eos_token_id: [5, 6, 5] }, undefined, [5, 6]],
    ["both", { eos_token_id: 5 }, { eos_token_id: [7, 5] }, [5, 7]],
    ["generation config without eos", { eos_token_id: 5 }, { eos_token_id: null }, [5]],
    ["generation config with an empty list", { eos_token_id: 5 }, { eos_token_id: [] }, [5]],
    ["nowhere", {}, {}, []],
    [
      "only in the part of the text model",
      { text_config: { eos_token_id: [5, 6] } },
      { eos_token_id: 7 },
      [5, 6, 7],
    ],
    [
      "null above the part of the text model",
      { eos_token_id: null, text_config: { eos_token_id: 6 } },
      {},
      [6],
    ],
    ["above the part of the text model", { eos_token_id: 5, text_config: { eos_token_id: 6 } }, {}, [5]],
    ["in parts that are none", { text_config: "x", decoder: null, generator: [1] }, {}, []],
    ["in the decoder", { text_config: { a: 1 }, decoder: { eos_token_id: 8 } }, {}, [8]],
  ];
  test.each(eosCases)("eos ids: %s", async (_name, config, generation, expected) => {
    const { eosTokenIds } = await readConfig(await folderOf({ ...base, ...config }, generation));
    expect(eosTokenIds).toEqual(expected);
  });

  test("sampling defaults", async () => {
    const generation = {
      do_sample: true,
      temperature: 0.6,
      top_k: 20,
      top_p: 0.95,
      min_p: 0,
      repetition_penalty: 1.05,
    };
    expect((await readConfig(await folderOf(base, generation))).sampling).toEqual({
      doSample: true,
      temperature: 0.6,
      topK: 20,
      topP: 0.95,
      minP: 0,
      repetitionPenalty: 1.05,
    });
    const { sampling } = await readConfig(await folderOf(base, { top_k: null }));
    expect(Object.values(sampling).every((value) => value === undefined)).toBe(true);
  });

  /** A value without meaning counts as absent; the warning names file and field. */
  const badDefaults: readonly {
    readonly name: string;
    readonly config?: object;
    readonly generation?: object | string;
    readonly warns: RegExp;
    readonly read?: object;
  }[] = [
    ...[-1, -2, 1.5, 2 ** 31, 2 ** 32 + 1, 2 ** 53, "50", [50], true, {}].map((value) => ({
      name: `top_k ${JSON.stringify(value)}`,
      generation: { top_k: value, top_p: 0.5 },
      warns: /generation_config\.json: top_k: expected an integer from 0 to 2147483647, got /,
      read: { sampling: { ...nothing, topP: 0.5 } },
    })),
    ...[-0.1, 1.5, "0.9", [0.9], false].map((value) => ({
      name: `top_p ${JSON.stringify(value)}`,
      generation: { top_p: value },
      warns: /generation_config\.json: top_p: expected a number from 0 to 1, got /,
    })),
    ...[-1, 101, "1", [1], {}].map((value) => ({
      name: `temperature ${JSON.stringify(value)}`,
      generation: { temperature: value },
      warns: /generation_config\.json: temperature: expected a number from 0 to 100, got /,
    })),
    {
      name: "temperature 1e999",
      generation: '{"temperature": 1e999}',
      warns: /temperature: .* got Infinity/,
    },
    ...[0, -1, 0.001, 101, "1.1"].map((value) => ({
      name: `repetition_penalty ${JSON.stringify(value)}`,
      generation: { repetition_penalty: value },
      warns: /generation_config\.json: repetition_penalty: expected a number from 0\.01 to 100, got /,
    })),
    { name: "min_p 2", generation: { min_p: 2 }, warns: /generation_config\.json: min_p: .* got 2/ },
    { name: "do_sample 1", generation: { do_sample: 1 }, warns: /do_sample: expected true or false, got 1/ },
    ...[-1, "2", 1.5, 2 ** 32 + 1, true, {}].map((value) => ({
      name: `eos_token_id ${JSON.stringify(value)}`,
      config: { eos_token_id: 5 },
      generation: { eos_token_id: value },
      warns: /generation_config\.json: eos_token_id: expected token ids from 0 to 2147483647, got /,
      read: { eosTokenIds: [5], sampling: nothing },
    })),
    {
      name: "one bad eos of three",
      generation: { eos_token_id: [1, -1, 2] },
      warns: /generation_config\.json: eos_token_id: .* got \[-1\]/,
      read: { eosTokenIds: [1, 2] },
    },
    {
      name: "eos of config.json",
      config: { eos_token_id: "</s>", bos_token_id: 3 },
      warns: /[^_]config\.json: eos_token_id: .* got "<\/s>"/,
      read: { eosTokenIds: [], bosTokenId: 3 },
    },
    {
      name: "eos beyond the vocabulary",
      config: { text_config: { eos_token_id: [7, 8] }, vocab_size: 8 },
      warns: /[^_]config\.json: text_config\.eos_token_id: expected token ids from 0 to 7, got \[8\]/,
      read: { eosTokenIds: [7] },
    },
    {
      name: "bos",
      config: { bos_token_id: 3 },
      generation: { bos_token_id: -1 },
      warns: /generation_config\.json: bos_token_id: .* got -1/,
      read: { bosTokenId: 3 },
    },
  ];
  test.each(badDefaults)("a bad default: $name", async ({ config = {}, generation, warns, read }) => {
    const folder = await folderOf({ ...base, ...config }, generation);
    let result: unknown;
    const warnings = await collectWarnings(async () => (result = await readConfig(folder)));
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatchObject({ name: "WarploopWarning", code: "WARN_BAD_DEFAULT" });
    expect(warnings[0]!.message).toMatch(warns);
    expect(result).toMatchObject(read ?? { sampling: nothing });
  });

  const unusedCases: readonly (readonly [string, object, RegExp | undefined])[] = [
    ["healed tokens", { token_healing: true }, /: token_healing true$/],
    ["beams", { num_beams: 4 }, /generation_config.json: ignored, .*: num_beams 4$/],
    [
      "two fields, one of them neutral in another form",
      { suppress_tokens: [1, 2], bad_words_ids: [], stop_strings: ["\n"], no_repeat_ngram_size: 0 },
      /: suppress_tokens \[1, 2\], stop_strings \["\\n"\]$/,
    ],
    ["what only counts for drawing, drawing", { do_sample: true, typical_p: 0.5 }, /: typical_p 0.5$/],
    ["what only counts for drawing, greedy", { typical_p: 0.5, epsilon_cutoff: 0.1 }, undefined],
    ["neutral values", { num_beams: 1, guidance_scale: null, min_length: 0, sequence_bias: {} }, undefined],
    ["a length, of the completion", { max_new_tokens: 256 }, /: max_new_tokens 256$/],
    ["a length, of all", { max_length: 100 }, /: max_length 100$/],
    ["a length that is none", { max_length: "100" }, /: max_length "100"$/],
    ["the length of the model", { max_length: 8192 }, undefined],
    ["what steers nothing here", { max_length: 20, use_cache: true, pad_token_id: 0 }, undefined],
  ];

  test.each(unusedCases)("says what of generation_config.json is not done: %s", async (_, fields, warns) => {
    const folder = await folderOf({ ...base, max_position_embeddings: 4096 }, fields);
    const warnings = await collectWarnings(() => readConfig(folder));
    expect(warnings.map(({ message }) => message)).toEqual(warns ? [expect.stringMatching(warns)] : []);
    if (warns) expect(warnings[0]).toMatchObject({ code: "WARN_UNUSED_DEFAULT" });
  });

  test("null and absence are not warned about", async () => {
    const fields = [
      "do_sample",
      "temperature",
      "top_k",
      "top_p",
      "min_p",
      "repetition_penalty",
      "eos_token_id",
    ];
    const nulls = Object.fromEntries(fields.map((field) => [field, null]));
    const folders = [await folderOf({ ...base, eos_token_id: null }, nulls), await folderOf(base, {})];
    const warnings = await collectWarnings(() => Promise.all(folders.map((folder) => readConfig(folder))));
    expect(warnings).toEqual([]);
  });

  const errorCases: readonly (readonly [string, object | string, object | string | undefined, RegExp])[] = [
    ["not JSON", "{", undefined, /config.json: not valid JSON/],
    ["NaN is not JSON", '{"a": NaN}', undefined, /config.json: not valid JSON/],
    ["not an object", "[1]", undefined, /expected a JSON object, got \[1\]/],
    ["empty architectures", { architectures: [] }, undefined, /architectures: .* got \[\]/],
    ["generation config that is not JSON", base, "oops", /generation_config.json: not valid JSON/],
    ["config of 17 MB", " ".repeat(17_000_000), undefined, /at most 16000000 bytes, got 17000000/],
  ];
  test.each(errorCases)("error: %s", async (_name, config, generation, message) => {
    const error: unknown = await readConfig(await folderOf(config, generation)).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(CheckpointError);
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT_CONFIG", message: expect.stringMatching(message) });
  });

  test("missing config.json", async () => {
    await expect(readConfig(join(root, "nowhere"))).rejects.toMatchObject({
      code: "ERR_CHECKPOINT_MISSING",
      file: join(root, "nowhere", "config.json"),
    });
  });
});

describe("ConfigReader", () => {
  const reader = new ConfigReader("c.json", {
    size: 4,
    zero: 0,
    nothing: null,
    eps: 1e-5,
    flag: false,
    act: "silu",
    list: [0, 2],
    open: [0.5, { __float__: "Infinity" }],
    turned: [2, 1],
    ...{ far: 1e39, near: 1e-39, infinite: [Infinity, Infinity] },
    rope: { factor: 8, bad: "x" },
    n_embd: 128,
    huge: 2 ** 60,
  });

  test("values, defaults and aliases", () => {
    expect(reader.positiveInt("size")).toBe(4);
    expect(reader.positiveInt(["hidden_size", "n_embd"])).toBe(128);
    expect(reader.positiveInt(["nothing", "n_embd"])).toBe(128);
    expect(reader.positiveInt("nothing", 7)).toBe(7);
    expect(reader.optionalPositiveInt("nothing")).toBeUndefined();
    expect(reader.nonNegativeInt("zero")).toBe(0);
    expect(reader.number("eps")).toBe(1e-5);
    expect(reader.positiveNumber("absent", 1e-6)).toBe(1e-6);
    expect(reader.bool("flag", true)).toBe(false);
    expect(reader.string("act")).toBe("silu");
    expect(reader.oneOf("act", ["silu", "gelu"])).toBe("silu");
    expect(reader.oneOf("absent", ["silu", "gelu"], "gelu")).toBe("gelu");
    expect(reader.intList("list")).toEqual([0, 2]);
    expect(reader.intList("absent", [])).toEqual([]);
    expect(reader.limits("list", [0, 1])).toEqual([0, 2]);
    expect(reader.limits("absent", [0, Infinity])).toEqual([0, Infinity]);
    expect(reader.limits("open", [0, 1])).toEqual([0.5, Infinity]);
    expect(reader.optionalObject("nothing")).toBeUndefined();
    expect(reader.optionalObject("rope")?.number("factor")).toBe(8);
    expect(reader.has("toString")).toBe(false);
  });

  const failures: readonly (readonly [string, () => unknown, string])[] = [
    [
      "absent",
      () => reader.positiveInt("absent"),
      "c.json: absent: expected a positive integer, got nothing",
    ],
    [
      "aliases absent",
      () => reader.number(["a", "b"]),
      "c.json: a or b: expected a finite number of 32 bits, got nothing",
    ],
    ["zero", () => reader.positiveInt("zero", 3), "c.json: zero: expected a positive integer, got 0"],
    ["fraction", () => reader.positiveInt("eps"), "c.json: eps: expected a positive integer, got 0.00001"],
    [
      "beyond 2^53",
      () => reader.positiveInt("huge"),
      `c.json: huge: expected a positive integer, got ${2 ** 60}`,
    ],
    [
      "not positive",
      () => reader.positiveNumber("zero"),
      "c.json: zero: expected a positive number of 32 bits, got 0",
    ],
    [
      "out of range",
      () => reader.number("far"),
      "c.json: far: expected a finite number of 32 bits, got 1e+39",
    ],
    [
      "too near to 0",
      () => reader.positiveNumber("near"),
      "c.json: near: expected a positive number of 32 bits, got 1e-39",
    ],
    [
      "limits that are infinite",
      () => reader.limits("infinite", [0, 1]),
      "c.json: infinite: expected two numbers from 0 on, in order, the first finite, got [Infinity, Infinity]",
    ],
    ["text as flag", () => reader.bool("act"), 'c.json: act: expected true or false, got "silu"'],
    ["flag as text", () => reader.string("flag"), "c.json: flag: expected a string, got false"],
    [
      "unknown value",
      () => reader.oneOf("act", ["gelu", "relu"]),
      'c.json: act: expected one of "gelu", "relu", got "silu"',
    ],
    [
      "no list",
      () => reader.intList("size"),
      "c.json: size: expected a list of non-negative integers, got 4",
    ],
    [
      "limits out of order",
      () => reader.limits("turned", [0, 1]),
      "c.json: turned: expected two numbers from 0 on, in order, the first finite, got [2, 1]",
    ],
    [
      "limits that are one number",
      () => reader.limits("size", [0, 1]),
      "c.json: size: expected two numbers from 0 on, in order, the first finite, got 4",
    ],
    ["no object", () => reader.object("list"), "c.json: list: expected an object, got [0, 2]"],
    [
      "nested",
      () => reader.object("rope").number("bad"),
      'c.json: rope.bad: expected a finite number of 32 bits, got "x"',
    ],
    [
      "rule of the caller",
      () => reader.fail("size", "a multiple of 3"),
      "c.json: size: expected a multiple of 3, got 4",
    ],
  ];
  test.each(failures)("error: %s", (_name, read, message) => {
    expect(read).toThrow(expect.objectContaining({ code: "ERR_CHECKPOINT_CONFIG", file: "c.json", message }));
  });
});
