// Contract: LLM.load takes a GGUF file for what it is: text, chat and ends of a trained model as from its folder, files in
// parts; and what does not run is refused by name before a weight is read.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { LLM } from "../../lib/llm/llm.js";
import { convert } from "../support/gguf/convert.js";
import { encodeGguf, type GgufMetadata, type GgufTensor, type GgufValue } from "../support/gguf/format.js";
import { byteVocabulary, gpt2Vocabulary } from "../support/gguf/tokenizers.js";
import { goldenFolder } from "../support/goldenFolder.js";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "warploop-gguf-"));
});
afterAll(() => rm(root, { recursive: true }));

const text = (value: string): GgufValue => ({ type: "string", value });
const u32 = (value: number): GgufValue => ({ type: "u32", value });
const u16 = (value: number): GgufValue => ({ type: "u16", value });

async function fileOf(
  metadata: GgufMetadata,
  tensors: readonly GgufTensor[],
  name = "model.gguf",
): Promise<string> {
  const file = join(await mkdtemp(join(root, "file-")), name);
  await writeFile(file, encodeGguf(metadata, tensors));
  return file;
}

describe("tiny-moe", () => {
  const folder = fileURLToPath(new URL("../../models/tiny-moe", import.meta.url));
  let llm: LLM;
  let original: LLM;

  beforeAll(async () => {
    const [json, config] = await Promise.all(
      ["tokenizer.json", "tokenizer_config.json"].map(async (name) =>
        JSON.parse(await readFile(join(folder, name), "utf8")),
      ),
    );
    const { metadata, tensors } = await convert(folder, "bf16", {
      ...gpt2Vocabulary(json, "qwen2", 1024),
      "tokenizer.ggml.eos_token_id": u32(1023),
      "tokenizer.ggml.padding_token_id": u32(1021),
      "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
      "tokenizer.chat_template": text(config.chat_template),
      "tokenizer.chat_template.other": text("{{ messages[0].content }}{{ pad_token }}"),
      "general.sampling.top_k": { type: "i32", value: 7 },
    });
    llm = await LLM.load(await fileOf(metadata, tensors));
    original = await LLM.load(folder);
  });
  afterAll(async () => {
    await llm.close();
    await original.close();
  });

  test("has the tokenizer of its folder", () => {
    const texts = [
      "Once upon a time, a small fox",
      "1234 + 5\n\n  x\t",
      "안녕 🦊 é e\u0301",
      "<|im_start|>user<|im_end|>",
      " ",
    ];
    for (const one of texts) {
      const ids = original.tokenizer!.encode(one);
      expect(llm.tokenizer!.encode(one)).toEqual(ids);
      expect(llm.tokenizer!.decode(ids)).toBe(original.tokenizer!.decode(ids));
    }
    expect([...llm.tokenizer!.specialIds].sort()).toEqual([...original.tokenizer!.specialIds].sort());
    expect(llm.tokenizer!.eosToken).toBe("<|im_end|>");
  });

  test("writes the text of its folder, and ends where that does", async () => {
    const prompt = "Once upon a time, a small fox named Wren lived near";
    const results = await Promise.all(
      [llm, original].map((one) => one.generate(prompt, { maxTokens: 200 }).result()),
    );
    expect(results[0]!.text).toBe(results[1]!.text);
    expect(results[0]!.finishReason).toBe("stop");
  });

  test("answers a chat by its template, and has the others by name", async () => {
    const messages = [{ role: "user", content: "What is 2 + 3?" }];
    const ask = (one: LLM, templateName?: string) =>
      one.chat(messages, { maxTokens: 8, templateName }).result();
    const [actual, expected] = [await ask(llm), await ask(original)];
    expect(actual.text).toBe(expected.text);
    expect(actual.usage).toEqual(expected.usage);
    expect(() => ask(llm, "none")).toThrow(/expected one of default, other/);
    expect((await ask(llm, "other")).text).toBeTypeOf("string");
  });
});

describe("a file in parts", () => {
  async function parts(change: (metadata: GgufMetadata, part: number) => GgufMetadata = (same) => same) {
    const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16");
    const folder = await mkdtemp(join(root, "parts-"));
    const cuts = [0, 0, 9, tensors.length]; // the first may have metadata alone
    for (let part = 0; part < 3; part++) {
      const keys = {
        "split.no": u16(part),
        "split.count": u16(3),
        "split.tensors.count": u32(tensors.length),
      };
      const own = change({ ...(part === 0 ? metadata : {}), ...keys }, part);
      const bytes = encodeGguf(own, tensors.slice(cuts[part], cuts[part + 1]));
      await writeFile(join(folder, `m-0000${part + 1}-of-00003.gguf`), bytes);
    }
    return { folder, first: join(folder, "m-00001-of-00003.gguf"), metadata, tensors };
  }

  test("is one model", async () => {
    const { first, metadata, tensors } = await parts();
    const tokens = [1, 2, 3, 4, 5];
    const logits = [];
    for (const file of [first, await fileOf(metadata, tensors)]) {
      const llm = await LLM.load(file);
      logits.push(await llm.logits(tokens));
      await llm.close();
    }
    expect(logits[0]).toEqual(logits[1]);
  });

  test("is loaded by its first part, and needs all of them", async () => {
    const { folder } = await parts();
    await expect(LLM.load(join(folder, "m-00002-of-00003.gguf"))).rejects.toThrow(
      /load m-00001-of-00003.gguf/,
    );
    await rm(join(folder, "m-00003-of-00003.gguf"));
    await expect(LLM.load(join(folder, "m-00001-of-00003.gguf"))).rejects.toThrow(
      /m-00003-of-00003.gguf: no such file/,
    );
  });

  test("of another model is none", async () => {
    const other = (key: string, value: GgufValue) =>
      parts((metadata, part) => (part === 2 ? { ...metadata, [key]: value } : metadata));
    await expect(LLM.load((await other("split.no", u16(1))).first)).rejects.toThrow(
      /split.no: expected 2, got 1/,
    );
    await expect(LLM.load((await other("split.count", u16(4))).first)).rejects.toThrow(
      /split.count: expected 3/,
    );
    const { first } = await parts((metadata) => ({ ...metadata, "split.tensors.count": u32(5) }));
    await expect(LLM.load(first)).rejects.toThrow(
      /split.tensors.count: expected \d+, the tensors of its 3 parts/,
    );
  });
});

describe("is refused", () => {
  const architecture = (name: string): GgufMetadata => ({ "general.architecture": text(name) });
  const vector: GgufTensor = { name: "x", shape: [4], dtype: "f32", data: () => [new Uint8Array(16)] };
  const files: readonly (readonly [what: string, metadata: GgufMetadata, code: string, says: RegExp])[] = [
    [
      "an importance matrix",
      { "general.type": text("imatrix") },
      "ERR_CHECKPOINT_FORMAT",
      /an importance matrix/,
    ],
    [
      "an adapter",
      { ...architecture("llama"), "general.type": text("adapter") },
      "ERR_CHECKPOINT_FORMAT",
      /an adapter/,
    ],
    ["what sees", architecture("clip"), "ERR_CHECKPOINT_FORMAT", /\(mmproj\), not the model/],
    ["a type of its own", { "general.type": text("new") }, "ERR_CHECKPOINT_FORMAT", /a file of type "new"/],
    ["no architecture", {}, "ERR_CHECKPOINT_CONFIG", /general.architecture: expected a name, got nothing/],
    [
      "another one",
      architecture("rwkv7"),
      "ERR_UNSUPPORTED_ARCHITECTURE",
      /"rwkv7" is not read from GGUF; .*llama, .*qwen2/,
    ],
    [
      "a key that is missing",
      architecture("llama"),
      "ERR_CHECKPOINT_CONFIG",
      /llama.embedding_length: expected a value/,
    ],
  ];
  test.each(files)("%s", async (_, metadata, code, says) => {
    const loading = LLM.load(await fileOf(metadata, [vector]));
    await expect(loading).rejects.toMatchObject({ code });
    await expect(loading).rejects.toThrow(says);
  });

  test("a vocabulary alone", async () => {
    const loading = LLM.load(await fileOf(architecture("llama"), []));
    await expect(loading).rejects.toThrow(/a file without tensors/);
  });

  const wrong: readonly (readonly [key: string, value: GgufValue, says: RegExp])[] = [
    ["block_count", text("2"), /qwen2.block_count: expected a positive integer, got "2"/],
    [
      "attention.head_count_kv",
      { type: "i32s", value: [1, 2] },
      /qwen2.attention.head_count_kv: expected .* \[1, 2\]/,
    ],
    [
      "attention.value_length",
      u32(32),
      /qwen2.attention.value_length: expected 64, the width of a key, got 32/,
    ],
    [
      "attention.clamp_kqv",
      { type: "f32", value: 8 },
      /qwen2.attention.clamp_kqv: expected nothing or false or 0, got 8/,
    ],
    ["logit_scale", { type: "f32", value: 8 }, /qwen2.logit_scale: expected nothing or 1, got 8/],
    ["expert_count", u32(4), /qwen2.expert_count: expected nothing/],
    ["rope.scaling.type", text("odd"), /qwen2.rope.scaling.rope_type must be one of .* got "odd"/],
  ];
  test.each(wrong)("a model by its key %s", async (key, value, says) => {
    const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16");
    await expect(LLM.load(await fileOf({ ...metadata, [`qwen2.${key}`]: value }, tensors))).rejects.toThrow(
      says,
    );
  });

  test("weights in blocks of other types, by type and tensor, before any is read", async () => {
    const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16");
    const blocks = tensors.map((tensor): GgufTensor =>
      /ffn_down/.test(tensor.name)
        ? { ...tensor, shape: [128, 256], dtype: "q2_k", data: () => [new Uint8Array(128 * 84)] }
        : tensor,
    );
    const loading = LLM.load(await fileOf(metadata, blocks));
    await expect(loading).rejects.toMatchObject({
      code: "ERR_CHECKPOINT_TENSOR",
      tensor: "blk.0.ffn_down.weight",
    });
    await expect(loading).rejects.toThrow(
      /weights in Q2_K \(blk.0.ffn_down.weight\) do not run here; those that do are F32, F16, Q4_0, .*Q8_0, .*MXFP4/,
    );
  });

  test("a tensor that is missing, or one too many, by its name in the file", async () => {
    const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16");
    const renamed = tensors.map((tensor) => ({
      ...tensor,
      name: tensor.name.replace("blk.1.attn_q.weight", "blk.1.odd"),
    }));
    const loading = LLM.load(await fileOf(metadata, renamed));
    await expect(loading).rejects.toThrow(/1 missing: blk.1.attn_q.weight; 1 unexpected: blk.1.odd/);
  });

  const tokenizers: readonly (readonly [what: string, keys: GgufMetadata, says: RegExp])[] = [
    [
      "kind",
      { "tokenizer.ggml.model": text("t5") },
      /tokenizer.ggml.model: expected "gpt2" or "llama", got "t5"/,
    ],
    [
      "split",
      { "tokenizer.ggml.pre": text("odd") },
      /tokenizer.ggml.pre: expected one of .*qwen2.*, got "odd"/,
    ],
    [
      "merge",
      { "tokenizer.ggml.merges": { type: "strings", value: ["ab"] } },
      /merges: expected two tokens, got "ab"/,
    ],
    [
      "number of types",
      { "tokenizer.ggml.token_type": { type: "i32s", value: [1] } },
      /token_type: expected one for each/,
    ],
    ["pair of tokens", byteVocabulary(["<x>", "<x>"]), /tokens: "<x>" stands there twice, at 256 and 257/],
  ];
  test.each(tokenizers)("a tokenizer for its %s", async (_, keys, says) => {
    const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16", {
      ...byteVocabulary(["<x>"]),
      ...keys,
    });
    const loading = LLM.load(await fileOf(metadata, tensors));
    await expect(loading).rejects.toMatchObject({ code: "ERR_TOKENIZER" });
    await expect(loading).rejects.toThrow(says);
  });

  test("what is no GGUF, by what it is", async () => {
    const file = join(root, "page.gguf");
    await writeFile(file, "<!DOCTYPE html><html></html>");
    await expect(LLM.load(file)).rejects.toThrow(/expected a GGUF file, got a web page/);
    await writeFile(file, "");
    await expect(LLM.load(file)).rejects.toMatchObject({ code: "ERR_CHECKPOINT_FORMAT" });
    await expect(LLM.load(join(root, "none.gguf"))).rejects.toMatchObject({ code: "ERR_CHECKPOINT_MISSING" });
    await expect(LLM.load(file, { revision: "main" })).rejects.toThrow(
      /revision: only for hub ids, but .* is a file/,
    );
  });
});

test("a key that is not known is warned about by its name", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
  const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16");
  const llm = await LLM.load(await fileOf({ ...metadata, "qwen2.rope.odd": u32(1) }, tensors));
  await llm.close();
  expect(warn.mock.calls.map(([message]) => String(message))).toEqual([
    expect.stringMatching(/not known for model type "qwen2" and ignored: "qwen2.rope.odd"/),
  ]);
  warn.mockRestore();
});

test("without a tokenizer, ids go in and out", async () => {
  const { metadata, tensors } = await convert(goldenFolder("qwen2"), "bf16");
  const llm = await LLM.load(await fileOf(metadata, tensors));
  expect(llm.tokenizer).toBe(null);
  await llm.close();
});
