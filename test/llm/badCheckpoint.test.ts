// Contract: LLM.load of a checkpoint that cannot be used gives a typed error with a code that names file, tensor or field,
// and leaves nothing allocated.
import { cp, mkdtemp, readFile, rm, truncate, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import type { LLM } from "../../lib/llm/llm.js";
import { native } from "../../lib/device/native.js";
import { collectWarnings } from "../support/warnings.js";
import { goldenFolder, loadLLM, modelFolder } from "./checkpoints.js";

/** A copy of models/tiny-draft, changed by `edit` and removed after the test. */
async function copyOf(source: string, edit: (folder: string) => Promise<void>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "warploop-bad-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(source, folder, { recursive: true });
  await edit(folder);
  return folder;
}

type Json = Record<string, unknown>;

/** Replaces fields of a JSON file; undefined removes one. */
const fields = (file: string, changes: Json) => async (folder: string) => {
  const json = JSON.parse(await readFile(join(folder, file), "utf8")) as Json;
  await writeFile(join(folder, file), JSON.stringify({ ...json, ...changes }));
};

const content = (file: string, data: string) => (folder: string) => writeFile(join(folder, file), data);

const removed = (file: string) => (folder: string) => unlink(join(folder, file));

/** Changes the header of model.safetensors and keeps the data. */
const header = (change: (tensors: Record<string, Json>) => void) => async (folder: string) => {
  const file = join(folder, "model.safetensors");
  const bytes = await readFile(file);
  const length = Number(bytes.readBigUInt64LE());
  const tensors = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<string, Json>;
  change(tensors);
  const json = Buffer.from(JSON.stringify(tensors).padEnd(length));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  await writeFile(file, Buffer.concat([size, json, bytes.subarray(8 + length)]));
};

const weights = "model.safetensors";
const norm = "model.norm.weight";
const table = "model.embed_tokens.weight";

interface Case {
  readonly name: string;
  readonly edit: (folder: string) => Promise<void>;
  readonly code: string;
  /** What the message must contain. */
  readonly says: readonly string[];
}

const cases: readonly Case[] = [
  {
    name: "no config.json",
    edit: removed("config.json"),
    code: "ERR_CHECKPOINT_MISSING",
    says: ["config.json"],
  },
  {
    name: "a config.json that is no JSON",
    edit: content("config.json", "{"),
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["config.json"],
  },
  {
    name: "a missing field",
    edit: fields("config.json", { hidden_size: undefined }),
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["config.json", "hidden_size"],
  },
  {
    name: "an unknown architecture",
    edit: fields("config.json", { architectures: ["FalconForCausalLM"] }),
    code: "ERR_UNSUPPORTED_ARCHITECTURE",
    says: ["Falcon", "Qwen3ForCausalLM", "MixtralForCausalLM"],
  },
  {
    name: "a malformed generation_config.json",
    edit: content("generation_config.json", "[]"),
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["generation_config.json", "expected a JSON object"],
  },
  { name: "no weights", edit: removed(weights), code: "ERR_CHECKPOINT_MISSING", says: [weights] },
  {
    name: "truncated weights",
    edit: async (folder) => truncate(join(folder, weights), 100_000),
    code: "ERR_CHECKPOINT_FORMAT",
    says: [weights],
  },
  { name: "empty weights", edit: content(weights, ""), code: "ERR_CHECKPOINT_FORMAT", says: [weights] },
  {
    name: "weights that are something else",
    edit: content(weights, "<html>not found</html>".repeat(99)),
    code: "ERR_CHECKPOINT_FORMAT",
    says: [weights],
  },
  {
    name: "a tensor of another dtype",
    edit: header((tensors) => void (tensors[norm] = { ...tensors[norm], dtype: "I16" })),
    code: "ERR_CHECKPOINT_TENSOR",
    says: [norm, "I16"],
  },
  {
    name: "a tensor of another shape",
    edit: header((tensors) => void (tensors[table] = { ...tensors[table], shape: [512, 256] })),
    code: "ERR_CHECKPOINT_TENSOR",
    says: [table, "[1024, 128]", "[512, 256]"],
  },
  {
    name: "a missing tensor",
    edit: header((tensors) => {
      tensors["x".repeat(norm.length)] = tensors[norm]!;
      delete tensors[norm];
    }),
    code: "ERR_CHECKPOINT_TENSOR",
    says: [norm],
  },
  {
    name: "another vocabulary than that of the weights",
    edit: fields("config.json", { vocab_size: 1000 }),
    code: "ERR_CHECKPOINT_TENSOR",
    says: [table, "[1000, 128]"],
  },
  {
    name: "a tokenizer.json that is no JSON",
    edit: content("tokenizer.json", "{]"),
    code: "ERR_TOKENIZER",
    says: ["tokenizer.json"],
  },
  {
    name: "a tokenizer.json without a model",
    edit: fields("tokenizer.json", { model: null }),
    code: "ERR_TOKENIZER",
    says: ["tokenizer.json"],
  },
  {
    name: "a chat template that is no text",
    edit: fields("tokenizer_config.json", { chat_template: 5 }),
    code: "ERR_CHAT_TEMPLATE",
    says: ["tokenizer_config.json", "chat_template"],
  },
];

describe("LLM.load", () => {
  let before: ReturnType<typeof native.liveHandles>;
  beforeEach(() => {
    before = native.liveHandles();
  });
  afterEach(() => {
    expect(native.liveHandles()).toEqual(before);
  });

  it.each(cases)("refuses $name", async ({ edit, code, says }) => {
    const error = (await loadLLM(await copyOf(modelFolder("tiny-draft"), edit)).catch(
      (e: unknown) => e,
    )) as Error;
    expect(error).toMatchObject({ code });
    for (const part of says) expect(error.message).toContain(part);
  });

  it.each([
    { path: "no/such/folder", code: "ERR_CHECKPOINT_MISSING" },
    { path: join(modelFolder("tiny-draft"), "config.json"), code: "ERR_CHECKPOINT_MISSING" },
    { path: tmpdir(), code: "ERR_CHECKPOINT_MISSING" },
    { path: "", code: "ERR_ARGUMENT_TYPE" },
    { path: undefined, code: "ERR_ARGUMENT_TYPE" },
    { path: 5, code: "ERR_ARGUMENT_TYPE" },
  ])("refuses the path $path", async ({ path, code }) => {
    await expect(loadLLM(path as string)).rejects.toMatchObject({ code });
  });

  it("stops when its signal aborts", async () => {
    const reason = new Error("enough");
    const load = (signal: AbortSignal) => loadLLM(modelFolder("tiny-draft"), { signal });
    await expect(load(AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const loading = loadLLM(modelFolder("tiny-draft"), {
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await expect(loading).rejects.toBe(reason);
  });
});

describe("a checkpoint with something odd", () => {
  it("a chat template that fails ends the chat only", async () => {
    const edit = fields("tokenizer_config.json", { chat_template: "{% for %}" });
    await using llm = await loadLLM(await copyOf(modelFolder("tiny-draft"), edit));
    const failed = { name: "TextError", code: "ERR_CHAT_TEMPLATE" };
    await expect(llm.chat([{ role: "user", content: "x" }]).result()).rejects.toMatchObject(failed);
    expect((await llm.generate("Once", { maxTokens: 3 }).result()).tokenIds).toHaveLength(3);
  });

  it("ids of the end of text outside the vocabulary are ignored", async () => {
    const edit = fields("config.json", { eos_token_id: [383, 5000] });
    await using llm = await loadLLM(await copyOf(goldenFolder("llama"), edit));
    const result = await llm.generate([1, 2], { minTokens: 4, maxTokens: 5 }).result();
    expect(result.usage.completionTokens).toBeGreaterThanOrEqual(4);
  });

  it("sampling defaults come from generation_config.json", async () => {
    const changes = { do_sample: true, temperature: 5, top_k: 3, repetition_penalty: 1.5 };
    const edit = fields("generation_config.json", changes);
    await using llm = await loadLLM(await copyOf(modelFolder("tiny-draft"), edit));
    const asked = { temperature: 5, topK: 3, repetitionPenalty: 1.5, seed: 3, maxTokens: 20 };
    const explicit = await llm.generate("Once", asked).result();
    expect((await llm.generate("Once", { seed: 3, maxTokens: 20 }).result()).tokenIds).toEqual(
      explicit.tokenIds,
    );
    const greedy = await llm
      .generate("Once", { temperature: 0, repetitionPenalty: 1, maxTokens: 20 })
      .result();
    expect(greedy.tokenIds).not.toEqual(explicit.tokenIds);
  });

  it("a repetition penalty is no matter of sampling: greedy decoding has it, too", async () => {
    const plain = await loadLLM(modelFolder("tiny-draft"));
    const greedy = (llm: LLM, options = {}) => llm.generate("Once", { maxTokens: 20, ...options }).result();
    const [without, penalised] = [await greedy(plain), await greedy(plain, { repetitionPenalty: 1.8 })];
    await plain.close();
    expect(penalised.tokenIds).not.toEqual(without.tokenIds);
    for (const do_sample of [false, undefined]) {
      const edit = fields("generation_config.json", { do_sample, top_k: 3, repetition_penalty: 1.8 });
      await using llm = await loadLLM(await copyOf(modelFolder("tiny-draft"), edit));
      expect((await greedy(llm)).tokenIds).toEqual(penalised.tokenIds);
      expect((await greedy(llm, { repetitionPenalty: 1 })).tokenIds).toEqual(without.tokenIds);
    }
  });

  it("a chat template that writes nothing is named", async () => {
    const edit = fields("tokenizer_config.json", { chat_template: "{% if false %}x{% endif %}" });
    await using llm = await loadLLM(await copyOf(modelFolder("tiny-draft"), edit));
    await expect(llm.chat([{ role: "user", content: "x" }]).result()).rejects.toMatchObject({
      ...{ name: "TextError", code: "ERR_CHAT_TEMPLATE" },
      message: expect.stringMatching(/tokenizer_config\.json: .*nothing/) as unknown,
    });
  });

  it("sampling defaults without meaning are off, and warned about", async () => {
    const bad = { temperature: "hot", top_k: -1, top_p: 1.5, min_p: null, repetition_penalty: 0 };
    const edit = fields("generation_config.json", { do_sample: true, ...bad, eos_token_id: -1 });
    const folder = await copyOf(modelFolder("tiny-draft"), edit);
    let loaded: LLM | undefined;
    const warnings = await collectWarnings(async () => (loaded = await loadLLM(folder)));
    const named = warnings.map(({ message }) => /generation_config\.json: (\w+): /.exec(message)?.[1]);
    expect(named.sort()).toEqual(["eos_token_id", "repetition_penalty", "temperature", "top_k", "top_p"]);
    await using llm = loaded!;
    const plain = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };
    const asked = await llm.generate("Once", { ...plain, seed: 3, maxTokens: 20 }).result();
    const byDefault = await llm.generate("Once", { seed: 3, maxTokens: 20 }).result();
    expect(byDefault.tokenIds).toEqual(asked.tokenIds);
  });

  it("a decoder that needs all tokens gives its text at the end, up to a stop string", async () => {
    const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
    const strip = { type: "Strip", content: " ", start: 0, stop: 0 };
    const edit = fields("tokenizer.json", { decoder: { type: "Sequence", decoders: [bytes, strip] } });
    await using llm = await loadLLM(await copyOf(modelFolder("tiny-draft"), edit));
    const options = { maxTokens: 12 };
    const { text } = await llm.generate("Once", options).result();
    expect(text).not.toBe("");
    const stop = text.slice(5, 9);
    const stopped = await llm.generate("Once", { ...options, stop }).result();
    const expected = { text: text.slice(0, text.indexOf(stop)), finishReason: "stop", stopReason: stop };
    expect(stopped).toMatchObject({ ...expected, usage: { completionTokens: 12 } });
  });

  it("a vocabulary smaller than the most log probabilities", async () => {
    const { tinyConfig, tinyTensors, writeCheckpoint } = await import("../support/tinyCheckpoint.js");
    const config = tinyConfig("LlamaForCausalLM");
    await using llm = await loadLLM(await writeCheckpoint(config, tinyTensors(config)));
    const refused = expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }) as Error;
    expect(() => llm.generate([1], { logprobs: 38 })).toThrow(refused);
    expect(() => llm.generate([1], { promptLogprobs: 38 })).toThrow(refused);
    const { logprobs } = await llm.generate([1], { logprobs: 37, maxTokens: 2 }).result();
    expect(logprobs!.map(({ top }) => top.length)).toEqual([37, 37]);
  });
});
