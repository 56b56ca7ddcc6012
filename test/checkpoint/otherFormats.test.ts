// Contract: what is not a checkpoint in safetensors format is named for what it is, with what to do, in a typed error: other
// weight formats, adapters, files in place of folders, Git LFS pointers, one tensor in two shards; on disk and on the hub.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { LLM } from "../../lib/llm/llm.js";
import { HubServer, repoId } from "../support/hubServer.js";
import { encodeSafetensors } from "../support/safetensors.js";
import { tinyConfig } from "../support/tinyCheckpoint.js";

let root: string;
let count = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "warploop-formats-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

type Files = Readonly<Record<string, string | Uint8Array | object>>;

const bytesOf = (value: string | Uint8Array | object): Uint8Array =>
  value instanceof Uint8Array
    ? value
    : Buffer.from(typeof value === "string" ? value : JSON.stringify(value), "latin1");

async function folderOf(files: Files): Promise<string> {
  const folder = join(root, String(count++));
  await mkdir(folder);
  for (const [name, value] of Object.entries(files)) await writeFile(join(folder, name), bytesOf(value));
  return folder;
}

async function expectError(
  pathOrId: string,
  code: string,
  says: readonly (string | RegExp)[],
): Promise<void> {
  const error: unknown = await LLM.load(pathOrId, { device: "cpu", threads: 1 }).catch((e: unknown) => e);
  expect(error).toMatchObject({ code });
  for (const text of says) expect((error as Error).message).toMatch(text);
}

const config = { ...tinyConfig("LlamaForCausalLM"), model_type: "llama" };
const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"ab".repeat(32)}\nsize 123456789\n`;
const adapter = { peft_type: "LORA", base_model_name_or_path: "org/base" };

interface Other {
  readonly name: string;
  readonly files: Files;
  readonly says: readonly RegExp[];
  /** Of a repository, where that is something else. */
  readonly saysOnHub?: readonly RegExp[];
}

/** A folder or repository with a config that would run, but without safetensors. */
const others: readonly Other[] = [
  {
    name: "a GGUF",
    files: { "m-q4.gguf": "GGUF" },
    says: [/m-q4\.gguf: GGUF; LLM.load takes the path/],
    saysOnHub: [/such as "org\/tiny:q4"; there are q4$/],
  },
  {
    name: "a pickle",
    files: { "pytorch_model.bin": "PK" },
    says: [/pytorch_model\.bin: PyTorch pickles, .*can run code; .*save_pretrained/],
  },
  {
    name: "pickles in shards",
    files: {
      "pytorch_model-1-of-2.bin": "",
      "pytorch_model-2-of-2.bin": "",
      "pytorch_model.bin.index.json": {},
    },
    says: [/and 2 more: PyTorch pickles/],
  },
  { name: "Meta's files", files: { "consolidated.00.pth": "PK" }, says: [/consolidated\.00\.pth: PyTorch/] },
  { name: "TensorFlow", files: { "tf_model.h5": "" }, says: [/tf_model\.h5: TensorFlow/] },
  { name: "ONNX", files: { "model.onnx": "" }, says: [/model\.onnx: an export for another engine/] },
  {
    name: "another name",
    files: { "consolidated.safetensors": "" },
    says: [/consolidated\.safetensors: safetensors under another name; the names are model\.safetensors/],
  },
];

describe("in a folder", () => {
  test.each(others)("$name", async ({ files, says }) => {
    const folder = await folderOf({ "config.json": config, ...files });
    await expectError(folder, "ERR_CHECKPOINT_MISSING", [folder, /model\.safetensors/, ...says]);
  });

  test.each(others.slice(0, 4))("$name without config.json", async ({ files, says }) => {
    const folder = await folderOf(files);
    await expectError(folder, "ERR_CHECKPOINT_MISSING", [/config\.json: no such file; it has/, ...says]);
  });

  test("nothing at all", async () => {
    const says = [
      /config\.json: no such file; the folder is empty: a checkpoint has config\.json, model\.safetensors/,
    ];
    await expectError(await folderOf({}), "ERR_CHECKPOINT_MISSING", says);
  });

  test.each<Omit<Other, "says">>([
    { name: "alone", files: { "adapter_model.safetensors": "" } },
    { name: "beside a whole model", files: { "config.json": config, "model.safetensors": "" } },
  ])("an adapter $name", async ({ files }) => {
    const folder = await folderOf({ "adapter_config.json": adapter, ...files });
    await expectError(folder, "ERR_CHECKPOINT_FORMAT", [
      /adapter_config\.json: this is an adapter \("LORA"\) of "org\/base", not a model.*merge_and_unload/,
    ]);
  });

  test("an adapter whose config says nothing", async () => {
    await expectError(await folderOf({ "adapter_config.json": {} }), "ERR_CHECKPOINT_FORMAT", [
      /adapter_config\.json: this is an adapter, not a model, and adapters are not applied here/,
    ]);
  });

  test("the same tensor in two shards", async () => {
    const shard = encodeSafetensors({ a: { dtype: "U8", shape: [1], data: new Uint8Array(1) } });
    const folder = await folderOf({
      "config.json": config,
      "model.safetensors.index.json": { weight_map: { a: "one.safetensors", b: "two.safetensors" } },
      "one.safetensors": shard,
      "two.safetensors": shard,
    });
    const says = [/two\.safetensors: tensor "a" is also in .*one\.safetensors: which of them is meant/];
    await expectError(folder, "ERR_CHECKPOINT_FORMAT", says);
  });

  const inPlaceOfWeights: readonly (readonly [name: string, content: string, says: RegExp])[] = [
    ["a Git LFS pointer", pointer, /Git LFS pointer, not the file itself: `git lfs pull`/],
    ["a GGUF", "GGUF\x03\0\0\0\0\0\0\0", /a GGUF file, whose name has to end in .gguf/],
    ["a zip archive", "PK\x03\x04\0\0\x08\x08\0\0", /a zip archive, as PyTorch writes/],
    ["a pickle", "\x80\x02\x8a\x0al\xfc\x9cF", /a PyTorch pickle/],
    ["a web page", "<!DOCTYPE html><html></html>", /a web page: the download went wrong/],
  ];
  test.each(inPlaceOfWeights)(
    "%s in place of the weights, whole and in shards",
    async (_name, content, says) => {
      const whole = await folderOf({ "config.json": config, "model.safetensors": content });
      await expectError(whole, "ERR_CHECKPOINT_FORMAT", [
        /model\.safetensors: expected a safetensors file/,
        says,
      ]);
      const sharded = await folderOf({
        "config.json": config,
        "model.safetensors.index.json": { weight_map: { a: "one.safetensors" } },
        "one.safetensors": content,
      });
      await expectError(sharded, "ERR_CHECKPOINT_FORMAT", [/one\.safetensors: expected a safetensors/, says]);
    },
  );

  test.each([
    ["config.json", "ERR_CHECKPOINT_CONFIG"],
    ["generation_config.json", "ERR_CHECKPOINT_CONFIG"],
    ["model.safetensors.index.json", "ERR_CHECKPOINT_FORMAT"],
    ["tokenizer.json", "ERR_TOKENIZER"],
  ])("a Git LFS pointer in place of %s", async (name, code) => {
    const folder = await folderOf({ "config.json": config, [name]: pointer });
    await expectError(folder, code, [`${name}: not valid JSON: a Git LFS pointer`]);
  });
});

describe("a path of a file", () => {
  test.each([
    ["pytorch_model.bin", /it is a file of PyTorch pickles/],
    ["model.safetensors", /it is a file; give the folder that it is in/],
    ["config.json", /it is a file; give the folder that it is in/],
    ["notes.txt", /it is a file$/],
  ])("%s", async (name, says) => {
    const folder = await folderOf({ [name]: "x" });
    await expectError(join(folder, name), "ERR_CHECKPOINT_MISSING", [says]);
  });
});

describe("on the hub", () => {
  let server: HubServer | undefined;
  afterEach(async () => {
    await server?.stop();
    vi.unstubAllEnvs();
  });

  async function serve(files: Files): Promise<HubServer> {
    server = new HubServer(Object.fromEntries(Object.entries(files).map(([n, v]) => [n, bytesOf(v)])));
    vi.stubEnv("HF_HUB_CACHE", await mkdtemp(join(root, "cache-")));
    vi.stubEnv("HF_HUB_OFFLINE", undefined);
    vi.stubEnv("HF_TOKEN", undefined);
    vi.stubEnv("HF_ENDPOINT", await server.start());
    return server;
  }

  test.each(others)("$name", async ({ files, says, saysOnHub = says }) => {
    const hub = await serve({ "config.json": config, ...files });
    await expectError(repoId, "ERR_HUB_NOT_FOUND", [
      /has no weights in safetensors format; it has/,
      ...saysOnHub,
    ]);
    expect(hub.fileRequests()).toHaveLength(1);
  });

  test("a GGUF without config.json", async () => {
    await serve(others[0]!.files);
    await expectError(repoId, "ERR_HUB_NOT_FOUND", [/has no config\.json; it has/, ...others[0]!.saysOnHub!]);
  });

  test("an adapter", async () => {
    const hub = await serve({ "adapter_config.json": adapter, "adapter_model.safetensors": "x" });
    await expectError(repoId, "ERR_CHECKPOINT_FORMAT", [/this is an adapter \("LORA"\) of "org\/base"/]);
    expect(hub.fileRequests()).toHaveLength(1);
  });

  test("a repository that lacks a shard names the shard alone", async () => {
    const index = { weight_map: { a: "one.safetensors", b: "two.safetensors" } };
    await serve({ "config.json": config, "model.safetensors.index.json": index, "one.safetensors": "x" });
    await expectError(repoId, "ERR_HUB_NOT_FOUND", [/has no two\.safetensors$/]);
  });
});
