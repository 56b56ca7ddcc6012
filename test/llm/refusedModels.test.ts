// Contract: LLM.load finds out from the small files whether a model can run. If it cannot, no weight is asked of the hub nor read
// from disk, and the error names the model type, what is missing and what runs.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { LLM } from "../../lib/llm/llm.js";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import { supportedArchitectures } from "../../lib/models/registry.js";
import { resolveModel } from "../../lib/checkpoint/hub.js";
import { commit, HubServer, repoId } from "../support/hubServer.js";
import { encodeSafetensors } from "../support/safetensors.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const runs = supportedArchitectures.join(", ");
const llama = { ...tinyConfig("LlamaForCausalLM"), model_type: "llama" };

interface Case {
  readonly name: string;
  readonly config: object;
  readonly files?: Readonly<Record<string, object>>;
  readonly options?: LLMOptions;
  readonly code: string;
  readonly says: readonly string[];
}

const cases: readonly Case[] = [
  {
    name: "an architecture that is missing",
    config: { architectures: ["FalconForCausalLM"], model_type: "falcon" },
    code: "ERR_UNSUPPORTED_ARCHITECTURE",
    says: ['"FalconForCausalLM"', '"falcon"', "forward pass is missing", runs],
  },
  {
    name: "a model type that is missing, without architectures",
    config: { model_type: "falcon" },
    code: "ERR_UNSUPPORTED_ARCHITECTURE",
    says: ['model type "falcon"', "forward pass is missing", runs],
  },
  {
    name: "a method of quantisation that is missing",
    config: { ...llama, quantization_config: { quant_method: "bitsandbytes" } },
    code: "ERR_CHECKPOINT_CONFIG",
    says: [
      'config.json: quantization_config.quant_method: expected one of "compressed-tensors", "awq"',
      'got "bitsandbytes": weights that are quantised like that do not run here',
    ],
  },
  {
    name: "a scheme that is missing",
    config: { ...llama, quantization_config: { quant_method: "gptq", bits: 3 } },
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["config.json: quantization_config.bits: expected 4 or 8, got 3", "in f32, bf16 or f16"],
  },
  {
    name: "quantised weights that only another file tells of",
    config: llama,
    files: { "hf_quant_config.json": { quantization: { quant_algo: "FP8" } } },
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["hf_quant_config.json", "the weights beside this file are quantised"],
  },
  {
    name: "a field that the family does not have",
    config: { ...llama, attn_logit_softcapping: 50 },
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["attn_logit_softcapping", '"llama"', "a cap on logits"],
  },
  {
    name: "a missing field",
    config: { ...llama, hidden_size: undefined },
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["config.json: hidden_size"],
  },
  {
    name: "a context that its positions do not reach",
    config: llama,
    options: { contextLength: 129 },
    code: "ERR_ARGUMENT_RANGE",
    says: ["contextLength: expected an integer from 2 to 128"],
  },
  {
    name: "a context of one position, which the file has",
    config: { ...llama, max_position_embeddings: 1 },
    code: "ERR_CHECKPOINT_CONFIG",
    says: ["config.json: max_position_embeddings: expected at least 2 positions", "got 1"],
  },
];

const json = (value: object): Uint8Array => Buffer.from(JSON.stringify(value));
const shard = encodeSafetensors({ a: { dtype: "U8", shape: [1], data: new Uint8Array(1) } });
const shards = {
  "model.safetensors.index.json": json({ weight_map: { a: "model-1.safetensors" } }),
  "model-1.safetensors": shard,
};

let cache: string;
let server: HubServer | undefined;

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), "warploop-hub-"));
  vi.stubEnv("HF_HUB_CACHE", cache);
  vi.stubEnv("HF_HUB_OFFLINE", undefined);
  vi.stubEnv("HF_TOKEN", undefined);
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  vi.unstubAllEnvs();
  await rm(cache, { recursive: true, force: true });
});

async function serve(files: Readonly<Record<string, Uint8Array>>): Promise<HubServer> {
  server = new HubServer(files);
  vi.stubEnv("HF_ENDPOINT", await server.start());
  return server;
}

async function expectError(pathOrId: string, { options, code, says }: Case): Promise<void> {
  const error: unknown = await LLM.load(pathOrId, { device: "cpu", threads: 1, ...options }).catch(
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code });
  for (const text of says) expect((error as Error).message).toContain(text);
}

const requested = (): string[] => server!.fileRequests().map(({ path }) => path.split("/").at(-1)!);

describe.each(cases)("$name", (refused) => {
  const { config, files = {} } = refused;
  const small = Object.fromEntries(Object.entries(files).map(([name, value]) => [name, json(value)]));

  test.each([
    { layout: "shards", weights: shards },
    { layout: "one file", weights: { "model.safetensors": shard } },
  ])("no weight is asked of the hub: $layout", async ({ weights }) => {
    await serve({ "config.json": json(config), ...small, "tokenizer.json": json({}), ...weights });
    await expectError(repoId, refused);
    expect(requested()).toContain("config.json");
    expect(requested().filter((name) => name.includes("safetensors"))).toEqual([]);
  });

  test("nor read from disk, where it may be missing", async () => {
    const folder = await mkdtemp(join(cache, "model-"));
    for (const [name, value] of Object.entries({ "config.json": config, ...files })) {
      await writeFile(join(folder, name), JSON.stringify(value));
    }
    await expectError(folder, refused);
  });
});

test("a cached snapshot is held to the same", async () => {
  const { config, code } = cases[0]!;
  await serve({ "config.json": json(config), "model.safetensors": shard });
  expect(await resolveModel(repoId)).toContain(commit);
  for (const [name, value] of [
    ["HF_HUB_OFFLINE", "1"],
    ["HF_ENDPOINT", "http://127.0.0.1:9"],
  ] as const) {
    vi.stubEnv(name, value);
    await expect(LLM.load(repoId)).rejects.toMatchObject({ code });
    vi.stubEnv(name, undefined);
  }
});

test("a model that runs is fetched whole, the weights after the check, and loads", async () => {
  const folder = await writeCheckpoint(llama, tinyTensors(llama));
  const names = ["config.json", "model.safetensors"];
  const files = await Promise.all(names.map((name) => readFile(join(folder, name))));
  await serve(Object.fromEntries(names.map((name, i) => [name, files[i]!])));
  await using llm = await LLM.load(repoId, { device: "cpu", threads: 1 });
  expect(llm.shape.architecture).toBe("LlamaForCausalLM");
  expect(requested()).toEqual(names);
});

test("without architectures the model type names the class", async () => {
  const { architectures: _, ...fields } = llama;
  const folder = await writeCheckpoint(llama, tinyTensors(llama));
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...fields, architectures: null }));
  await using llm = await LLM.load(folder, { device: "cpu", threads: 1 });
  expect(llm.shape.architecture).toBe("LlamaForCausalLM");
});

test("a device that is not there is reported before anything is asked of the hub", async () => {
  await serve({ "config.json": json(llama), "model.safetensors": shard });
  const error = { name: "DeviceError", code: "ERR_DEVICE" };
  await expect(LLM.load(repoId, { device: "cuda:99" })).rejects.toMatchObject(error);
  expect(server!.requests).toEqual([]);
});
