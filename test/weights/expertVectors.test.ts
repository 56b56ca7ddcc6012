// Contract: a vector of each expert, [E, N] f32, by names of experts or stacked in one tensor, in any order of its numbers, whole or of
// the ranks that share the experts; rows whose form is of something else are refused.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { formsOf, type ModelWeightRow, type WeightForm } from "../../lib/weights/modelWeights.js";
import { type Shard, wholeModel } from "../../lib/weights/shard.js";
import { openTestDevice } from "../support/devices.js";
import { roundTo, toStorage, type FloatDType } from "../support/dtype.js";
import { loadTensors, type Stored } from "../support/loadTensors.js";
import { Random } from "../support/random.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice({ threads: 1 });
  stream = device.createStream();
});
afterAll(() => device.dispose());

const random = new Random(21);
const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);

/** Numbers of each expert, and the tensor that stacks them. */
function vectorsOf(E: number, N: number, dtype: FloatDType = "f32") {
  const values = roundTo(dtype, random.normal(E * N));
  const stacked = { dtype, shape: [E, N], values: toStorage(dtype, values) };
  const vectors = range(E).map((e) => [...values.subarray(e * N, (e + 1) * N)]);
  const one = (e: number): Stored => {
    const own = stacked.values.slice(e * N, (e + 1) * N);
    return { dtype, shape: [N], values: own };
  };
  return { stacked, vectors, one };
}

const row = (fields: Partial<ModelWeightRow> & Pick<ModelWeightRow, "from" | "shapes">): ModelWeightRow => ({
  ...{ slot: "bias", form: "expertVectors" },
  ...fields,
});

async function load(
  one: ModelWeightRow,
  numExperts: number,
  tensors: Readonly<Record<string, Stored>>,
  shard: Shard = wholeModel,
): Promise<number[][]> {
  const weights = await loadTensors({ rows: [one], numLayers: 0, numExperts }, tensors, {
    ...{ stream, dtype: "bf16", shard },
  });
  const tensor = weights.expertVectors("bias");
  expect(tensor.dtype).toBe("f32");
  const values = await tensor.readFloat32(stream);
  const [E, N] = tensor.shape as [number, number];
  weights.dispose();
  return range(E).map((e) => [...values.subarray(e * N, (e + 1) * N)]);
}

it.each([1, 3])("of %i experts by their names, of two parts in two dtypes", async (E) => {
  const [gate, up] = [vectorsOf(E, 5, "bf16"), vectorsOf(E, 4)];
  const from = ["gate.{expert}.bias", "up.{expert}.bias"];
  const tensors = range(E).flatMap((e) => [
    [`gate.${e}.bias`, gate.one(e)] as const,
    [`up.${e}.bias`, up.one(e)] as const,
  ]);
  const loaded = await load(row({ from, shapes: [[5], [4]] }), E, Object.fromEntries(tensors));
  expect(loaded).toEqual(range(E).map((e) => [...gate.vectors[e]!, ...up.vectors[e]!]));
});

describe.each(["f32", "bf16"] as const)("stacked in one tensor of %s", (dtype) => {
  const [E, F] = [4, 3];
  const { stacked, vectors } = vectorsOf(E, 2 * F, dtype);
  const inTurns = { from: ["gate_up_bias"], shapes: [[2 * F]], stacked: true } as const;
  const tensors = { gate_up_bias: stacked };
  const even = (numbers: readonly number[]) => numbers.filter((_, i) => i % 2 === 0);
  const odd = (numbers: readonly number[]) => numbers.filter((_, i) => i % 2 === 1);

  it("as they are", async () => {
    expect(await load(row(inTurns), E, tensors)).toEqual(vectors);
  });

  it("gate and up in turns, as gpt-oss stores them", async () => {
    const both = row({ ...inTurns, rowViews: [{ axes: [F, 2], order: [1, 0] }] });
    expect(await load(both, E, tensors)).toEqual(vectors.map((all) => [...even(all), ...odd(all)]));
  });

  it("some of them, and mapped", async () => {
    const take = { axis: 1, start: 1, end: 2 };
    const up = row({ ...inTurns, rowViews: [{ axes: [F, 2], take }], map: (value) => 1 + value });
    const expected = vectors.map((all) => odd(all).map((value) => Math.fround(1 + value)));
    expect(await load(up, E, tensors)).toEqual(expected);
  });

  it("of the experts of each rank", async () => {
    const both = row({
      ...{ ...inTurns, rowViews: [{ axes: [F, 2], order: [1, 0] }] },
      split: { axis: "experts" },
    });
    const ranks = range(2).map((rank) => load(both, E, tensors, { ...wholeModel, ep: { rank, size: 2 } }));
    const expected = vectors.map((all) => [...even(all), ...odd(all)]);
    expect(await Promise.all(ranks)).toEqual([expected.slice(0, 2), expected.slice(2)]);
  });

  it("of all experts, a part of each for every rank", async () => {
    const split = row({ ...inTurns, split: { axis: "outputs" } });
    const ranks = range(2).map((rank) => load(split, E, tensors, { ...wholeModel, tp: { rank, size: 2 } }));
    const half = (rank: number) => vectors.map((all) => all.slice(rank * F, (rank + 1) * F));
    expect(await Promise.all(ranks)).toEqual([half(0), half(1)]);
  });
});

it.each([
  ["expertVectors", { from: ["b"], shapes: [[3]] }, "vectors of experts, got vectors"],
  [
    "expertVectors",
    { from: ["b.{expert}"], shapes: [[3, 2]] },
    "vectors of experts, got matrices of experts",
  ],
  ["vector", { from: ["b"], shapes: [[3]], stacked: true }, "vectors, got vectors of experts"],
  ["linear", { from: ["b.{expert}"], shapes: [[3, 2]] }, "matrices, got matrices of experts"],
  ["gatedExperts", { from: ["b"], shapes: [[3, 2]] }, "matrices of experts, got matrices"],
] as const)("a row of form %s with something else: %o", (form: WeightForm, fields, problem) => {
  const table = { rows: [row({ ...fields, form })], numLayers: 0, numExperts: 2 };
  expect(() => formsOf(table)).toThrow(
    expect.objectContaining({
      code: "ERR_ARGUMENT_RANGE",
      message: `formsOf: slot bias: form "${form}" is of ${problem}`,
    }),
  );
});
