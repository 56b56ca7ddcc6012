/**
 * Contract: a load takes the memory of all weights at once and, whatever their sizes, little more; rows come to their place
 * however a tensor is cut into chunks; parts of several dtypes are one weight.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { Device } from "../../lib/device/device.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Memory, Tensor } from "../../lib/device/tensor.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { cast } from "../../lib/ops/cast.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { type LoadProgress, loadWeights } from "../../lib/weights/loadWeights.js";
import type { ModelWeightRow, ModelWeights } from "../../lib/weights/modelWeights.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { referenceTransformer } from "../support/referenceTransformer.js";
import { runModel } from "../support/runModel.js";
import { encodeSafetensors, type TensorToWrite } from "../support/safetensors.js";
import { tinyConfig, tinyTensors, type TinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice({ threads: 2 });
  stream = device.createStream();
});
afterAll(() => device.dispose());

/** The most bytes that the device held at a time while `body` ran, beyond those before it, and what it holds now. */
async function memoryOf<T>(body: () => Promise<T>): Promise<{ result: T; peak: number; kept: number }> {
  const held = new Set<Memory>();
  let peak = 0;
  const now = () => [...held].reduce((sum, memory) => sum + (memory.disposed ? 0 : memory.bytes), 0);
  const allocate = device.allocate.bind(device);
  const spy = vi.spyOn(device, "allocate").mockImplementation((bytes) => {
    const memory = allocate(bytes);
    held.add(memory);
    peak = Math.max(peak, now());
    return memory;
  });
  try {
    const result = await body();
    return { result, peak, kept: now() };
  } finally {
    spy.mockRestore();
  }
}

interface Stored {
  readonly dtype: FloatDType;
  readonly shape: readonly [number, number];
  readonly values: Uint16Array | Float32Array;
}

async function load(
  rows: readonly ModelWeightRow[],
  tensors: Readonly<Record<string, Stored>>,
  dtype: FloatDType,
  onProgress?: (progress: LoadProgress) => void,
): Promise<ModelWeights> {
  const folder = await mkdtemp(path.join(tmpdir(), "warploop-weights-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const encoded = Object.entries(tensors).map(([name, { dtype: stored, shape, values }]) => {
    const data = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return [name, { dtype: stored.toUpperCase(), shape, data } satisfies TensorToWrite] as const;
  });
  await writeFile(path.join(folder, "model.safetensors"), encodeSafetensors(Object.fromEntries(encoded)));
  await using checkpoint = await openCheckpoint(folder);
  const plan = resolveWeights({ rows, numLayers: 0 }, checkpoint);
  const forms = new Map(rows.map(({ slot, form }) => [slot, form]));
  return await loadWeights(plan, forms, { checkpoint, stream, dtype, onProgress });
}

const bytesOf = async (tensor: Tensor) => Buffer.from((await tensor.read(stream)).buffer);

describe("memory", () => {
  const [rows, columns] = [10_003, 1024]; // 20 MiB of bf16
  const values = new Uint16Array(rows * columns).map((_, i) => 0x3f80 + (i % 8191));
  const big: Stored = { dtype: "bf16", shape: [rows, columns], values };
  const table: ModelWeightRow = {
    ...{ slot: "table", form: "table", from: ["embed.weight"], shapes: [big.shape] },
  };
  const head: ModelWeightRow = {
    ...{ slot: "head", form: "linear", from: ["head.weight"], shapes: [big.shape] },
  };
  const tied: ModelWeightRow = { ...head, tiedTo: { slot: "table", when: "always" } };

  it.each([
    { name: "packed as stored", own: [head], from: "head.weight", dtype: "bf16" },
    { name: "packed in another dtype", own: [head], from: "head.weight", dtype: "f16" },
    { name: "a tied head", own: [tied, table], from: "embed.weight", dtype: "bf16" },
    { name: "a tied head in another dtype", own: [table, tied], from: "embed.weight", dtype: "f16" },
  ] as const)(
    "a large matrix, $name: the weights and a part of it at a time",
    async ({ own, from, dtype }) => {
      const seen: LoadProgress[] = [];
      const { result, peak, kept } = await memoryOf(() =>
        load(own, { [from]: big }, dtype, (progress) => seen.push(progress)),
      );
      expect(kept).toBe(result.bytes);
      expect(peak - kept).toBeLessThanOrEqual(16 << 20);
      expect(seen.at(-1)).toMatchObject({ loaded: 2 * values.length, total: 2 * values.length });

      const source = stream.fromArray("bf16", big.shape, values);
      const expected = packLinear(stream, cast(stream, source, dtype));
      const [loaded, packed] = [result.linear("head"), expected].map(({ segments }) => segments[0]!.data);
      expect((await bytesOf(loaded!)).equals(await bytesOf(packed!))).toBe(true);
      for (const each of [source, expected, result]) each.dispose();
    },
  );

  it("is that of one allocation for the weights and one for what is on its way, which ends with the load", async () => {
    const config = tinyConfig("LlamaForCausalLM");
    const folder = await writeCheckpoint(config, tinyTensors(config));
    const spy = vi.spyOn(device, "allocate");
    const model = await loadModel(folder, { stream, contextLength: 32 });
    const memories = spy.mock.results.map(({ value }) => value as Memory);
    spy.mockRestore();
    expect(memories.map(({ disposed }) => disposed)).toEqual([false, true, false]); // the last one: the rope table
    expect(model.shape.weightBytes).toBe(memories[0]!.bytes + memories[2]!.bytes);
    model.dispose();
    expect(memories.every(({ disposed }) => disposed)).toBe(true);
  });

  it("ends with a load that fails", async () => {
    const spy = vi.spyOn(device, "allocate");
    const stop = new Error("stop");
    const fail = () => {
      throw stop;
    };
    await expect(load([head], { "head.weight": big }, "bf16", fail)).rejects.toBe(stop);
    const memories = spy.mock.results.map(({ value }) => value as Memory);
    spy.mockRestore();
    expect(memories.map(({ disposed }) => disposed)).toEqual([true, true]);
  });
});

describe("parts of several dtypes", () => {
  const tokens = [3, 1, 4, 1, 5, 9, 2, 6];

  async function logitsOf(
    architecture: string,
    fields: Readonly<Record<string, unknown>>,
    dtypeOf: (name: string) => FloatDType,
  ) {
    const config = tinyConfig(architecture, fields);
    const exact = tinyTensors(config, () => "bf16"); // what f32 and bf16 both hold
    const tensors: TinyTensors = new Map(
      [...exact].map(([name, tensor]) => [name, { ...tensor, dtype: dtypeOf(name) }]),
    );
    const folder = await writeCheckpoint(config, tensors);
    const model = await loadModel(folder, { stream, dtype: "f32" });
    const [logits] = await runModel(model, stream, [tokens]);
    const { weightBytes } = model.shape;
    model.dispose();
    return { logits: logits!, weightBytes, expected: referenceTransformer(config, tensors, tokens) };
  }

  const experts = { num_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 12, norm_topk_prob: true };
  it.each([
    { name: "v beside q and k", mixed: /v_proj/, architecture: "LlamaForCausalLM", fields: {} },
    { name: "k between q and v", mixed: /k_proj/, architecture: "Qwen3ForCausalLM", fields: {} },
    { name: "biases", mixed: /v_proj/, architecture: "LlamaForCausalLM", fields: { attention_bias: true } },
    { name: "gate beside up", mixed: /gate_proj/, architecture: "LlamaForCausalLM", fields: {} },
    {
      name: "gate beside up of experts",
      mixed: /up_proj/,
      architecture: "Qwen3MoeForCausalLM",
      fields: experts,
    },
  ])("$name: the logits of a checkpoint of one dtype", async ({ mixed, architecture, fields }) => {
    const plain = await logitsOf(architecture, fields, () => "bf16");
    const both = await logitsOf(architecture, fields, (name) => (mixed.test(name) ? "f32" : "bf16"));
    expect(both.weightBytes).toBeGreaterThan(plain.weightBytes);
    const V = 37;
    expect(compareLogits(both.logits, plain.logits, V).relative).toBeLessThan(1e-6);
    expect(compareLogits(both.logits, Float32Array.from(both.expected), V).relative).toBeLessThan(1e-5);
  });
});
