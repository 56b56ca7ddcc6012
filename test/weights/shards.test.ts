/** Contract: what the ranks of a model load, put together, is what one rank loads; and what they compute adds up to it. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { describeModel } from "../../lib/llm/loadModel.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { linear } from "../../lib/ops/linear.js";
import type { GroupedWeight, LinearWeight } from "../../lib/ops/packLinear.js";
import { loadWeights } from "../../lib/weights/loadWeights.js";
import type { ModelWeightRow, ModelWeights } from "../../lib/weights/modelWeights.js";
import { viewedRows } from "../../lib/weights/rowView.js";
import { type Shard, wholeModel } from "../../lib/weights/shard.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import { openTestDevice } from "../support/devices.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { Random } from "../support/random.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice({ threads: 1 });
  stream = device.createStream();
});
afterAll(() => device.dispose());

async function load(family: string, shard: Shard) {
  const { definition } = await describeModel(goldenFolder(family));
  const { rows } = definition.weights;
  await using checkpoint = await openCheckpoint(goldenFolder(family));
  const plan = resolveWeights(definition.weights, checkpoint, shard);
  const forms = new Map(rows.map(({ slot, form }) => [slot, form]));
  const weights = await loadWeights(plan, forms, { checkpoint, stream, dtype: "f32" });
  return { rows, weights, layers: definition.shape.numLayers };
}

const ranksOf = (size: number): Shard[] =>
  Array.from({ length: size }, (_, rank) => ({ tp: { rank, size }, ep: { rank, size } }));

type Numbers = readonly (readonly number[])[];

async function numbersOf(out: Tensor): Promise<number[][]> {
  const values = await out.readFloat32(stream);
  const width = out.size(-1);
  return Array.from({ length: out.numel / width }, (_, i) => [
    ...values.subarray(i * width, (i + 1) * width),
  ]);
}

const turned = (rows: Numbers): number[][] =>
  (rows[0] ?? []).map((_, column) => rows.map((row) => row[column]!));

function identity(K: number, times = 1): Tensor {
  const values = Float32Array.from({ length: times * K * K }, (_, i) =>
    Math.floor(i / K) % K === i % K ? 1 : 0,
  );
  return stream.fromArray("f32", [times * K, K], values);
}

/** The rows of a matrix: its products with unit vectors. */
const rowsOfMatrix = async (weight: LinearWeight) =>
  turned(await numbersOf(linear(stream, identity(weight.inputs), weight)));

/** What gate and up make of some rows, by output. */
async function rowsOfGated(weight: LinearWeight): Promise<Numbers> {
  const { inputs: K } = weight;
  const x = stream.fromArray("f32", [K, K], Float32Array.from(new Random(3).normal(K * K)));
  return turned(await numbersOf(linear(stream, x, weight)));
}

/** What each expert makes of the same rows: of unit vectors, where that gives its matrix. */
async function rowsOfExperts(group: GroupedWeight): Promise<Numbers[]> {
  const { experts: E, inputs: K, swiglu } = group;
  const some = Float32Array.from(new Random(3).normal(K * K));
  const values = new Float32Array(E * K * K);
  for (let e = 0; e < E; e++) values.set(some, e * K * K);
  const x = swiglu ? stream.fromArray("f32", [E * K, K], values) : identity(K, E);
  const offsets = stream.fromArray(
    "i32",
    [E + 1],
    Int32Array.from({ length: E + 1 }, (_, e) => e * K),
  );
  const all = await numbersOf(groupedLinear(stream, x, group, offsets));
  return Array.from({ length: E }, (_, e) => all.slice(e * K, (e + 1) * K));
}

/** The numbers of a weight: those of a matrix and of a vector by their rows, those of experts one after another. */
async function read(
  weights: ModelWeights,
  { slot, form }: ModelWeightRow,
  layer?: number,
): Promise<Numbers[]> {
  switch (form) {
    case "vector": {
      const vector = weights.optionalVector(slot, layer);
      return vector ? [turned(await numbersOf(vector))] : [];
    }
    case "filters":
      return [await numbersOf(weights.filters(slot, layer))];
    case "table":
      return [await numbersOf(weights.table(slot))];
    case "embedding":
    case "linear":
      return form === "linear" ? [await rowsOfMatrix(weights.linear(slot, layer))] : [];
    case "gatedLinear":
      return [await rowsOfGated(weights.linear(slot, layer))];
    case "expertVectors":
      return (await numbersOf(weights.expertVectors(slot, layer))).map((numbers) => turned([numbers]));
    case "heads":
    case "turnedHeads":
      return rowsOfExperts(weights.heads(slot, layer));
    case "experts":
    case "gatedExperts":
      return rowsOfExperts(weights.experts(slot, layer));
  }
}

/** Puts the parts of all ranks together, as the row says that they were divided. */
function glue(
  { form, split, shapes, rowViews, transpose }: ModelWeightRow,
  parts: readonly (readonly Numbers[])[],
): Numbers[] {
  if (split === undefined) return [...parts[0]!];
  const isStack = split.axis === "experts" || form === "heads" || form === "turnedHeads";
  if (isStack || split.axis === "sum") return parts.flat();
  const matrices = parts.map(([matrix]) => matrix!);
  if (split.axis === "inputs") return [matrices[0]!.map((_, n) => matrices.flatMap((rows) => rows[n]!))];
  const groups = split.axis === "heads" ? (split.groups ?? 1) : 1;
  const seen = form === "gatedLinear" ? shapes.slice(0, 1) : shapes; // gate and up give one output
  const headDims = split.axis === "heads" ? [split.headDim].flat() : [1];
  const sizes = seen.flatMap((shape, place) => {
    const view = rowViews?.[place];
    const rows = view ? viewedRows(view) : shape[transpose ? 1 : 0]!;
    return new Array<number>(groups).fill(rows / groups);
  });
  let start = 0;
  const glued = sizes.flatMap((size, i) => {
    const own = Math.max(size / parts.length, headDims[i] ?? headDims[0]!);
    start += own;
    const different = matrices.filter((_, rank) => (rank * size) % (own * parts.length) === 0); // of a head that neighbours have
    return different.flatMap((rows) => rows.slice(start - own, start));
  });
  return [glued];
}

const families = [
  ...["llama", "deepseek_v2", "deepseek_v3", "glm4", "glm4_moe", "qwen3", "qwen3_moe", "mixtral", "gpt2"],
];
describe.each(families)("%s", (family) => {
  it("two shards put together are the model", async () => {
    const whole = await load(family, wholeModel);
    const shards = await Promise.all(ranksOf(2).map((shard) => load(family, shard)));
    for (const row of whole.rows) {
      const isPerLayer = row.from[0]!.includes("{layer}");
      const layers = row.onlyLayers ?? Array.from({ length: whole.layers }, (_, i) => i);
      for (const layer of isPerLayer ? layers : [undefined]) {
        const expected = await read(whole.weights, row, layer);
        const parts = await Promise.all(shards.map(({ weights }) => read(weights, row, layer)));
        expect(glue(row, parts), `${row.slot} ${layer}`).toEqual(expected);
        if (row.split) expect(parts.at(-1), `${row.slot} ${layer}`).not.toEqual(expected);
      }
    }
    for (const { weights } of [whole, ...shards]) weights.dispose();
  });
});

it("the summands of two ranks add up to what one rank computes", async () => {
  const [D, T] = [128, 3];
  const x = stream.fromArray("f32", [T, D], Float32Array.from(new Random(4).normal(T * D)));
  const mlp = async (shard: Shard) => {
    const { weights } = await load("llama", shard);
    const hidden = linear(stream, x, weights.linear("gateUp", 1));
    const sums = await numbersOf(linear(stream, hidden, weights.linear("down", 1)));
    weights.dispose();
    return sums.flat();
  };
  const expected = await mlp(wholeModel);
  const [a, b] = await Promise.all(ranksOf(2).map(mlp));
  expected.forEach((value, i) => expect(a![i]! + b![i]!).toBeCloseTo(value, 4));
});

it("heads of keys that are fewer than the ranks are copied", async () => {
  const whole = await load("llama", wholeModel); // 4 query heads, 2 of keys and values
  const ranks = await Promise.all(ranksOf(4).map((shard) => load("llama", shard)));
  const rows = await rowsOfMatrix(whole.weights.linear("qkv", 0));
  const Dh = rows.length / 8;
  for (const [rank, { weights }] of ranks.entries()) {
    const kv = Math.floor(rank / 2);
    const heads = [rank, 4 + kv, 6 + kv].flatMap((head) => rows.slice(head * Dh, (head + 1) * Dh));
    expect(await rowsOfMatrix(weights.linear("qkv", 0))).toEqual(heads);
  }
  for (const { weights } of [whole, ...ranks]) weights.dispose();
});

it("what cannot be divided is refused by name", async () => {
  const at = (size: number): Shard => ({ tp: { rank: 0, size }, ep: { rank: 0, size: 1 } });
  const experts = (size: number): Shard => ({ tp: { rank: 0, size: 1 }, ep: { rank: 0, size } });
  const range = { code: "ERR_ARGUMENT_RANGE" };
  await expect(load("llama", at(3))).rejects.toMatchObject({
    ...range,
    message: "shard: 4 heads of qkv cannot be divided among 3 ranks",
  });
  await expect(load("llama", at(8))).rejects.toMatchObject({
    ...range,
    message: "shard: 4 heads of qkv cannot be divided among 8 ranks", // those of queries, which have no copies
  });
  await expect(load("qwen3_moe", experts(3))).rejects.toMatchObject({
    ...range,
    message: "shard: 8 experts of expertsGateUp cannot be divided among 3 ranks",
  });
});
