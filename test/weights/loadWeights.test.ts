/**
 * Contract: a load takes the memory of all weights at once and, whatever their sizes, little more; rows come to their place
 * however a tensor is cut into chunks; parts of several dtypes are one weight.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Memory, Tensor } from "../../lib/device/tensor.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { cast } from "../../lib/ops/cast.js";
import { linear } from "../../lib/ops/linear.js";
import { GroupedWeight, type LinearWeight } from "../../lib/ops/linearWeight.js";
import { emptyGroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import type { LoadProgress } from "../../lib/weights/loadWeights.js";
import type { ModelWeightRow, ModelWeights } from "../../lib/weights/modelWeights.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { loadTensors, type Stored } from "../support/loadTensors.js";
import { Random } from "../support/random.js";
import { referenceTransformer } from "../support/referenceTransformer.js";
import { runModel } from "../support/runModel.js";
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

async function load(
  rows: readonly ModelWeightRow[],
  tensors: Readonly<Record<string, Stored>>,
  dtype: FloatDType,
  onProgress?: (progress: LoadProgress) => void,
): Promise<ModelWeights> {
  return loadTensors({ rows, numLayers: 0, numExperts: 3 }, tensors, { stream, dtype, onProgress });
}

const bytesOf = async (tensor: Tensor) => Buffer.from((await tensor.read(stream)).buffer);

describe("memory", () => {
  const [rows, columns] = [10_003, 1024]; // 20 MiB of bf16
  const values = new Uint16Array(rows * columns).map((_, i) => 0x3f80 + (i % 8191));
  const big: Stored = { dtype: "bf16", shape: [rows, columns], values };
  const table: ModelWeightRow = {
    ...{ slot: "table", form: "embedding", from: ["embed.weight"], shapes: [big.shape] },
  };
  const head: ModelWeightRow = {
    ...{ slot: "head", form: "linear", from: ["head.weight"], shapes: [big.shape] },
  };
  const tied: ModelWeightRow = { ...head, tiedTo: { slot: "table", when: "always" } };

  it.each([
    { name: "packed as stored", own: [head], from: "head.weight", dtype: "bf16", reads: 1, copies: 1 },
    { name: "packed in another dtype", own: [head], from: "head.weight", dtype: "f16", reads: 1, copies: 1 },
    { name: "a tied head", own: [tied, table], from: "embed.weight", dtype: "bf16", reads: 1, copies: 1 },
    {
      ...{ name: "a tied head in another dtype", own: [table, tied], from: "embed.weight" },
      ...({ dtype: "f16", reads: 2, copies: 2 } as const),
    },
  ] as const)("a large matrix, $name: the weights and a part of it at a time", async (c) => {
    const { own, from, dtype } = c;
    const seen: LoadProgress[] = [];
    const { result, peak, kept } = await memoryOf(() =>
      load(own, { [from]: big }, dtype, (progress) => seen.push(progress)),
    );
    const bytes = 2 * values.length;
    expect(kept).toBe(result.bytes);
    expect(kept / bytes).toBeCloseTo(c.copies, 2);
    expect(peak - kept).toBeLessThanOrEqual(16 << 20);
    expect(seen.at(-1)).toMatchObject({ loaded: c.reads * bytes, total: c.reads * bytes });

    const source = stream.fromArray("bf16", big.shape, values);
    const expected = packLinear(stream, cast(stream, source, dtype));
    const [loaded, packed] = [result.linear("head"), expected].map(({ segments }) => segments[0]!.data);
    expect((await bytesOf(loaded!)).equals(await bytesOf(packed!))).toBe(true);
    for (const each of [source, expected, result]) each.dispose();
  });

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

  it("stays when one weight is disposed, and all weights are closed with the model", async () => {
    const small: Stored = { dtype: "f32", shape: [4, 8], values: new Float32Array(32).fill(2) };
    const rows = ["a", "b"].map((slot): ModelWeightRow => ({
      slot,
      form: "linear",
      from: [slot],
      shapes: [small.shape],
    }));
    const weights = await load(rows, { a: small, b: small }, "f32");
    weights.linear("a").dispose();
    const x = stream.fromArray("f32", [1, 8], new Float32Array(8).fill(1));
    expect([...(await linear(stream, x, weights.linear("b")).readFloat32(stream))]).toEqual([16, 16, 16, 16]);
    const closed = expect.objectContaining({ code: "ERR_CLOSED" });
    expect(() => linear(stream, x, weights.linear("a"))).toThrow(closed);
    weights.dispose();
    expect(() => linear(stream, x, weights.linear("b"))).toThrow(closed);
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

describe("rows of a table", () => {
  const random = new Random(8);
  const stored = (shape: readonly number[]): Stored & { readonly values: Float32Array } => {
    const count = shape.reduce((product, size) => product * size, 1);
    return { dtype: "f32", shape, values: Float32Array.from(random.normal(count)) };
  };

  /** The weight of a slot is that of these rows, each [K]. */
  async function expectRows(
    weight: LinearWeight | GroupedWeight,
    experts: readonly (readonly Float32Array[])[],
  ) {
    const shape = {
      experts: experts.length,
      inputs: weight.inputs,
      outputs: weight.outputs,
      dtype: "f32",
    } as const;
    const swiglu = weight instanceof GroupedWeight && weight.swiglu;
    const expected = emptyGroupedWeight(stream, { ...shape, swiglu });
    for (const [e, rows] of experts.entries()) {
      const values = Float32Array.from(rows.flatMap((row) => [...row]));
      packExpert(stream, expected, e, stream.fromArray("f32", [rows.length, weight.inputs], values));
    }
    const [actual, wanted] = [weight, expected].map(({ segments }) => segments[0]!.data);
    expect((await bytesOf(actual!)).equals(await bytesOf(wanted!))).toBe(true);
    expected.dispose();
  }
  const rowsOf = (values: Float32Array, K: number): Float32Array[] =>
    Array.from({ length: values.length / K }, (_, n) => values.subarray(n * K, (n + 1) * K));
  const columnsOf = (values: Float32Array, N: number): Float32Array[] =>
    Array.from({ length: N }, (_, n) => values.filter((_, i) => i % N === n));

  it.each([{ transpose: false }, { transpose: true }])(
    "experts that are stacked in one tensor, gate and up in turns (transpose: $transpose)",
    async ({ transpose }) => {
      const [E, F, K] = [3, 5, 6];
      const tensor = stored(transpose ? [E, K, 2 * F] : [E, 2 * F, K]);
      const rows: ModelWeightRow[] = [
        {
          ...{
            slot: "gateUp",
            form: "gatedExperts",
            from: ["experts.gate_up_proj"],
            stacked: true,
            transpose,
          },
          shapes: [transpose ? [K, 2 * F] : [2 * F, K]],
          rowViews: [{ axes: [F, 2], order: [1, 0] }],
        },
      ];
      const weights = await load(rows, { "experts.gate_up_proj": tensor }, "f32");
      const group = weights.experts("gateUp");
      expect(group).toMatchObject({ experts: E, outputs: 2 * F, inputs: K, isFused: true });
      expect(group.segments[0]!.name).toBe("gate_up_proj");
      const experts = rowsOf(tensor.values, 2 * F * K).map((values) => {
        const all = transpose ? columnsOf(values, 2 * F) : rowsOf(values, K);
        return [...all.filter((_, n) => n % 2 === 0), ...all.filter((_, n) => n % 2 === 1)];
      });
      await expectRows(group, experts);
      weights.dispose();
    },
  );

  it("heads whose halves are stored in turns, beside rows as they are", async () => {
    const [H, D, K] = [2, 6, 9]; // llama in GGUF: pairs side by side
    const [q, v] = [stored([H * D, K]), stored([4, K])];
    const rows: ModelWeightRow[] = [
      {
        ...{ slot: "qv", form: "linear", from: ["q.weight", "v.weight"], shapes: [q.shape, v.shape] },
        rowViews: [{ axes: [H, D / 2, 2], order: [0, 2, 1] }, undefined],
      },
    ];
    const weights = await load(rows, { "q.weight": q, "v.weight": v }, "f32");
    const all = rowsOf(q.values, K);
    const order = [0, 2, 4, 1, 3, 5];
    const heads = [0, 1].flatMap((h) => order.map((n) => all[h * D + n]!));
    await expectRows(weights.linear("qv"), [[...heads, ...rowsOf(v.values, K)]]);
    expect(weights.linear("qv").segments.map(({ name }) => name)).toEqual(["q+v"]);
    weights.dispose();
  });

  it("one tensor whose rows go into two slots, as a matrix and as experts", async () => {
    const [H, nope, wide, R] = [3, 4, 2, 5]; // MLA: kv_b has keys and values of each head
    const tensor = stored([H * (nope + wide), R]);
    const slot = (name: string, start: number, end: number): ModelWeightRow => ({
      ...{ slot: name, form: "linear", from: ["kv_b_proj.weight"], shapes: [tensor.shape] },
      rowViews: [{ axes: [H, nope + wide], take: { axis: 1, start, end } }],
    });
    const both = [slot("keys", 0, nope), slot("values", nope, nope + wide)];
    const weights = await load(both, { "kv_b_proj.weight": tensor }, "f32");
    const all = rowsOf(tensor.values, R);
    const isKey = (n: number) => n % (nope + wide) < nope;
    await expectRows(weights.linear("keys"), [all.filter((_, n) => isKey(n))]);
    await expectRows(weights.linear("values"), [all.filter((_, n) => !isKey(n))]);
    weights.dispose();
  });

  it.each([
    { n: 11, K: 15 }, // 12 K / 11 * 11 is no whole number in float64
    { n: 9, K: 90 },
    { n: 28, K: 29 },
  ])("all rows but the last: $n of K = $K, whatever the axes that say so", async ({ n, K }) => {
    const tensor = stored([n + 1, K]);
    for (const axes of [[n + 1], [1, n + 1], [n + 1, 1], [1, n + 1, 1]]) {
      const take = { axis: axes.indexOf(n + 1), start: 0, end: n };
      for (const [start, end] of [
        [0, n],
        [1, n + 1],
      ] as const) {
        const row: ModelWeightRow = {
          ...{ slot: "some", form: "linear", from: ["w"], shapes: [tensor.shape] },
          rowViews: [{ axes, take: { ...take, start, end } }],
        };
        const weights = await load([row], { w: tensor }, "f32");
        await expectRows(weights.linear("some"), [rowsOf(tensor.values, K).slice(start, end)]);
        weights.dispose();
      }
    }
  });

  it("vectors: mapped, in another order, of several dtypes", async () => {
    const [a, b] = [stored([6]), stored([4])];
    const half = Uint16Array.of(0x3f80, 0xc000, 0x4040, 0xbf80); // 1, -2, 3, -1 in bf16
    const rows: ModelWeightRow[] = [
      { slot: "mapped", form: "vector", from: ["A_log"], shapes: [[6]], map: (x) => -Math.exp(x) },
      {
        ...{ slot: "order", form: "vector", from: ["A_log", "b", "c"], shapes: [[6], [4], [4]] },
        rowViews: [
          { axes: [3, 2], order: [1, 0] },
          { axes: [2, 2], take: { axis: 0, start: 1, end: 2 } },
          undefined,
        ],
      },
      { slot: "shifted", form: "vector", from: ["c"], shapes: [[4]], map: (x) => 1 + x },
    ];
    const tensors = { A_log: a, b, c: { dtype: "bf16", shape: [4], values: half } } as const;
    const weights = await load(rows, tensors, "f32");
    const read = async (slot: string) => [...((await weights.vector(slot).read(stream)) as Float32Array)];
    expect(await read("mapped")).toEqual([...a.values.map((x) => -Math.exp(x))]);
    expect(await read("shifted")).toEqual([2, -1, 4, 0]);
    const inOrder = [0, 2, 4, 1, 3, 5].map((i) => a.values[i]!);
    expect(await read("order")).toEqual([...inOrder, b.values[2], b.values[3], 1, -2, 3, -1]);
    weights.dispose();
  });
});
