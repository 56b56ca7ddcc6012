// Contract: loadModel reports progress, stops when asked, refuses what does not fit with an error that names file and
// tensor, and leaves nothing allocated when it fails.
import { mkdir, readFile, rename, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { activationDtype } from "../../lib/weights/activationDtype.js";
import { loadModel, type LoadProgress } from "../../lib/llm/loadModel.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import { native } from "../../lib/device/native.js";
import type { Stream } from "../../lib/device/stream.js";
import { openTestDevice } from "../support/devices.js";
import { tinyConfig, tinyTensors, writeCheckpoint, type TinyTensors } from "../support/tinyCheckpoint.js";
import { runModel } from "../support/runModel.js";
import { goldenFolder } from "../support/goldenFolder.js";

const config = tinyConfig("LlamaForCausalLM");
const norm = "model.norm.weight";

let device: Device;
let stream: Stream;
let memoryBefore: number;

beforeEach(() => {
  memoryBefore = native.liveHandles().memory;
  device = openTestDevice({ threads: 1 });
  stream = device.createStream();
});
afterEach(async () => {
  await stream.dispose();
  await device.dispose();
  expect(native.liveHandles()).toMatchObject({ memory: memoryBefore, files: 0 });
});

/** A folder with a tiny Llama whose tensors were changed by `edit`. */
async function tinyLlama(
  edit: (tensors: TinyTensors) => void = () => undefined,
  fields = {},
): Promise<string> {
  const tensors = tinyTensors(config);
  edit(tensors);
  return writeCheckpoint({ ...config, ...fields }, tensors);
}

describe("a checkpoint that does not fit", () => {
  const cases: readonly {
    name: string;
    edit: (tensors: TinyTensors) => void;
    tensor: string;
    message: string;
  }[] = [
    {
      name: "a missing tensor",
      edit: (tensors) => tensors.delete(norm),
      tensor: norm,
      message: `1 missing: ${norm}`,
    },
    {
      name: "a wrong shape",
      edit: (tensors) => tensors.set(norm, { dtype: "f32", shape: [2, 12], values: new Float64Array(24) }),
      tensor: norm,
      message: "expected [24], got [2, 12]",
    },
    {
      name: "an unexpected tensor",
      edit: (tensors) =>
        tensors.set("model.extra", { dtype: "f32", shape: [1], values: new Float64Array(1) }),
      tensor: "model.extra",
      message: "1 unexpected: model.extra",
    },
  ];

  it.each(cases)("$name", async ({ edit, tensor, message }) => {
    const folder = await tinyLlama(edit);
    await expect(loadModel(folder, { stream })).rejects.toThrowError(
      expect.objectContaining({
        code: "ERR_CHECKPOINT_TENSOR",
        tensor,
        message: expect.stringContaining(message) as unknown,
      }),
    );
  });

  it("an unknown architecture lists what is supported", async () => {
    const folder = await tinyLlama(undefined, { architectures: ["FalconForCausalLM"] });
    await expect(loadModel(folder, { stream })).rejects.toThrowError(
      expect.objectContaining({
        code: "ERR_UNSUPPORTED_ARCHITECTURE",
        file: join(folder, "config.json"),
        message: expect.stringMatching(/supported are .*GPT2LMHeadModel, .*LlamaForCausalLM/) as unknown,
      }),
    );
  });

  it("a folder without config.json, and one without weights", async () => {
    const folder = await tinyLlama();
    await rename(join(folder, "model.safetensors"), join(folder, "other.safetensors"));
    await expect(loadModel(folder, { stream })).rejects.toMatchObject({ code: "ERR_CHECKPOINT_MISSING" });
    await rename(join(folder, "config.json"), join(folder, "other.json"));
    await expect(loadModel(folder, { stream })).rejects.toMatchObject({ code: "ERR_CHECKPOINT_MISSING" });
  });

  it("a file that is cut off", async () => {
    const folder = await tinyLlama();
    const file = join(folder, "model.safetensors");
    await truncate(file, (await readFile(file)).length - 4);
    await expect(loadModel(folder, { stream })).rejects.toMatchObject({
      code: "ERR_CHECKPOINT_FORMAT",
      file,
    });
  });
});

describe("options", () => {
  it.each([
    {
      name: "contextLength beyond the positions",
      options: { contextLength: 129 },
      code: "ERR_ARGUMENT_RANGE",
    },
    { name: "contextLength 0", options: { contextLength: 0 }, code: "ERR_ARGUMENT_RANGE" },
    { name: "an unknown dtype", options: { dtype: "f64" as FloatDType }, code: "ERR_ARGUMENT_TYPE" },
  ])("$name is refused", async ({ options, code }) => {
    await expect(loadModel(await tinyLlama(), { stream, ...options })).rejects.toMatchObject({ code });
  });

  it("auto is the checkpoint's dtype where the device multiplies it, else f32", () => {
    const plain = { fastDtypes: ["f32"] } as unknown as Device;
    const avx512 = { fastDtypes: ["f32", "bf16"] } as unknown as Device;
    const gpu = { fastDtypes: ["f32", "bf16", "f16"] } as unknown as Device;
    const dtypes = (stored: FloatDType) =>
      [plain, avx512, gpu].map((on) => activationDtype("auto", stored, on));
    expect(dtypes("bf16")).toEqual(["f32", "bf16", "bf16"]);
    expect(dtypes("f16")).toEqual(["f32", "f32", "f16"]);
    expect(dtypes("f32")).toEqual(["f32", "f32", "f32"]);
    expect(activationDtype("f16", "f32", plain)).toBe("f16");
  });

  it("the shape says what was loaded", async () => {
    const model = await loadModel(await tinyLlama(), { stream, contextLength: 50 });
    expect(model.shape).toMatchObject({
      architecture: "LlamaForCausalLM",
      ...{
        vocabSize: 37,
        numLayers: 2,
        hiddenSize: 24,
        numHeads: 4,
        numKvHeads: 2,
        headDim: 16,
        valueDim: 16,
      },
      ...{ maxPositions: 50, dtype: "f32", numExperts: 0, expertsPerToken: 0 },
    });
    expect(model.shape.weightBytes).toBeGreaterThan(4 * 37 * 24 * 2);
    model.dispose();
    model.dispose();
  });
});

describe("progress and abort", () => {
  it("progress rises to the size of the data", async () => {
    const seen: LoadProgress[] = [];
    const tensors = tinyTensors(config);
    const model = await loadModel(await writeCheckpoint(config, tensors), {
      stream,
      onProgress: (progress) => seen.push(progress),
    });
    const total = [...tensors.values()].reduce((sum, { values }) => sum + 4 * values.length, 0);
    expect(seen.at(-1)).toEqual({ phase: "load", loaded: total, total });
    expect(seen.map(({ loaded }) => loaded)).toEqual(seen.map(({ loaded }) => loaded).sort((a, b) => a - b));
    model.dispose();
  });

  it("an abort before the start and one in the middle reject with its reason", async () => {
    const folder = await tinyLlama();
    const reason = new Error("enough");
    await expect(loadModel(folder, { stream, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const loading = loadModel(folder, { stream, signal: controller.signal });
    controller.abort(reason);
    await expect(loading).rejects.toBe(reason);
  });

  it("an error of the progress callback frees what was loaded", async () => {
    const onProgress = (): never => {
      throw new Error("no");
    };
    await expect(loadModel(await tinyLlama(), { stream, onProgress })).rejects.toThrowError("no");
  });
});

describe("the event loop", () => {
  // To allocate while the stream's thread touches new memory may take 200 ms.
  it("allocates all that weights need before it reads any of them", async () => {
    const [allocate, copyFile] = [vi.spyOn(native, "allocate"), vi.spyOn(native, "copyFile")];
    const model = await loadModel(await tinyLlama(), { stream, dtype: "bf16" });
    const [first, last] = [copyFile.mock.invocationCallOrder[0]!, copyFile.mock.invocationCallOrder.at(-1)!];
    expect(copyFile.mock.calls.length).toBeGreaterThan(10);
    expect(allocate.mock.invocationCallOrder.filter((at) => at > first && at < last)).toEqual([]);
    vi.restoreAllMocks();
    model.dispose();
  });

  it("copies a long table of angles in parts", async () => {
    const [rows, sizes] = [20_000, [] as number[]];
    const write = vi.spyOn(native, "write").mockImplementation((_stream, _memory, _offset, data) => {
      sizes.push(data.byteLength);
    });
    const folder = await tinyLlama(() => undefined, { max_position_embeddings: rows });
    const model = await loadModel(folder, { stream, contextLength: rows });
    write.mockRestore();
    expect(sizes.reduce((sum, size) => sum + size)).toBe(rows * config.head_dim * 4);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2 ** 19);
    model.dispose();
  });
});

describe("layouts on disk", () => {
  const tokens = [[3, 1, 4, 1, 5, 9, 2, 6]];

  it("shards give the same bits as one file", async () => {
    const folder = await tinyLlama();
    const whole = await loadModel(folder, { stream });
    const sharded = await loadModel(await splitInTwo(folder), { stream });
    expect(await runModel(sharded, stream, tokens)).toEqual(await runModel(whole, stream, tokens));
    whole.dispose();
    sharded.dispose();
  });

  it("GPT-2 without the transformer prefix gives the same bits as with it", async () => {
    const golden = goldenFolder("gpt2");
    const folder = join(await tinyLlama(), "gpt2");
    await mkdir(folder);
    const bytes = await readFile(join(golden, "model.safetensors"));
    const header = bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE()));
    const renamed = header.toString().replaceAll('"transformer.', '"').padEnd(header.length);
    await writeFile(join(folder, "config.json"), await readFile(join(golden, "config.json")));
    await writeFile(
      join(folder, "model.safetensors"),
      Buffer.concat([bytes.subarray(0, 8), Buffer.from(renamed), bytes.subarray(8 + header.length)]),
    );
    const [plain, prefixed] = [await loadModel(folder, { stream }), await loadModel(golden, { stream })];
    expect(await runModel(plain, stream, tokens)).toEqual(await runModel(prefixed, stream, tokens));
    plain.dispose();
    prefixed.dispose();
  });
});

/** The tensors of a folder in a new one, in two shards with an index. */
async function splitInTwo(folder: string): Promise<string> {
  const tensors = [...tinyTensors(config)];
  const halves = [new Map(tensors.slice(0, 9)), new Map(tensors.slice(9))];
  const target = join(folder, "sharded");
  await mkdir(target);
  await writeFile(join(target, "config.json"), JSON.stringify(config));
  const index: Record<string, string> = {};
  for (const [i, half] of halves.entries()) {
    const shard = `model-${i + 1}-of-2.safetensors`;
    await rename(join(await writeCheckpoint(config, half), "model.safetensors"), join(target, shard));
    for (const name of half.keys()) index[name] = shard;
  }
  await writeFile(join(target, "model.safetensors.index.json"), JSON.stringify({ weight_map: index }));
  return target;
}
