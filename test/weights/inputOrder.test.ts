// Contract: a matrix whose inputs have their groups in any order (`desc_act`) is kept in codes with its inputs sorted by group; matrices that are one
// weight share what they can, and a matrix whose groups have other sizes than its config says becomes floats.
import { afterAll, beforeAll, expect, it } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { embedding } from "../../lib/ops/embedding.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { linear } from "../../lib/ops/linear.js";
import type { GroupedWeight, LinearWeight } from "../../lib/ops/linearWeight.js";
import { readQuantization } from "../../lib/quantization/quantization.js";
import { loadWeights } from "../../lib/weights/loadWeights.js";
import { formsOf, type ModelWeightRow, type ModelWeights } from "../../lib/weights/modelWeights.js";
import { settleCodes } from "../../lib/weights/settleCodes.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import { dequantised } from "../reference/storedFormats.js";
import { codedLayouts, writeFiles } from "../support/codedCheckpoint.js";
import { openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";
import { randomStored, type RandomStored } from "../support/storedRows.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice({ threads: 2 });
  stream = device.createStream();
});
afterAll(() => device.dispose());

const layout = codedLayouts.find(({ name }) => name === "GPTQ in the order of activations")!;
const [N, K, group] = [24, 96, 32];
const random = new Random(7);
const lying = Int32Array.from({ length: K }, (_, k) => Math.floor(k / group));
const mixed = (): Int32Array => Int32Array.from(random.permutation(K), (at) => lying[at]!);
/** The first group has one input too many. */
const uneven = Int32Array.from(lying, (of, k) => (k === group ? 0 : of));

const matrix = (gIdx: Int32Array): RandomStored => ({
  ...randomStored({ ...layout.stored, N, K }, random),
  gIdx,
});

async function load(
  matrices: readonly RandomStored[],
  row: Pick<ModelWeightRow, "form" | "from">,
  numExperts?: number,
  more: readonly ModelWeightRow[] = [],
): Promise<ModelWeights> {
  const named = matrices.map((m, i) =>
    Object.entries(layout.tensors(m)).map(([ending, tensor]) => [`m${i}.${ending}`, tensor] as const),
  );
  const folder = await writeFiles({}, Object.fromEntries(named.flat()));
  const config = new ConfigReader("config.json", { quantization_config: layout.config });
  const quantization = await readQuantization(config, folder);
  const rows = [{ slot: "w", ...row, shapes: row.from.map(() => [N, K]) }, ...more];
  const table = { rows, numLayers: 0, ...(numExperts !== undefined && { numExperts }) };
  await using checkpoint = await openCheckpoint(folder);
  const declared = resolveWeights(table, checkpoint, undefined, quantization);
  const plan = await settleCodes(declared, checkpoint);
  return await loadWeights(plan, formsOf(table), { checkpoint, stream, dtype: "f32" });
}

/** [K, K] */
const ones = () =>
  stream.fromArray(
    "f32",
    [K, K],
    Float32Array.from({ length: K * K }, (_, i) => (i % K === Math.floor(i / K) ? 1 : 0)),
  );
/** Of the rows of a product with ones, [K, rows], where each is a column of the weight. */
const turned = (product: Float32Array): number[] => {
  const rows = product.length / K;
  return Array.from({ length: product.length }, (_, i) => product[(i % K) * rows + Math.floor(i / K)]! + 0);
};
const valuesOf = async (weight: LinearWeight): Promise<number[]> =>
  turned(await linear(stream, ones(), weight).readFloat32(stream));
const expected = (...matrices: readonly RandomStored[]): number[] =>
  matrices.flatMap((m) => Array.from(dequantised(m), (value) => value + 0));
const keepsCodes = () => device.weightFormats.includes("int4");
const formats = ({ segments }: LinearWeight): string[] => segments.map(({ format }) => format.format);

it("matrices of one order are one segment, and those of two are two", async () => {
  const [one, other] = [mixed(), mixed()];
  const from = ["m0.weight", "m1.weight", "m2.weight"];
  const matrices = [matrix(one), matrix(one), matrix(other)];
  using weights = disposing(await load(matrices, { form: "linear", from }));
  const weight = weights.of.linear("w");
  expect(await valuesOf(weight)).toEqual(expected(...matrices));
  if (!keepsCodes()) return;
  expect(weight.segments.map(({ outputs }) => outputs)).toEqual([2 * N, N]);
  expect(weight.segments.map(({ inputOrder }) => inputOrder?.shape)).toEqual([
    [1, K],
    [1, K],
  ]);
});

it("gate and up of one order are multiplied at once", async () => {
  const order = mixed();
  const from = ["m0.weight", "m1.weight"];
  using weights = disposing(await load([matrix(order), matrix(order)], { form: "gatedLinear", from }));
  expect(weights.of.linear("w").isFused).toBe(true);
});

it.each([
  ["each in an order of its own", [mixed(), mixed()], "int4"],
  ["one as its inputs lie", [lying, mixed()], "int4"],
  ["all as their inputs lie", [lying, lying], "int4"],
  ["one with groups of other sizes", [mixed(), uneven], "dense"],
] as const)("experts, %s", async (_name, orders, format) => {
  const matrices = orders.map(matrix);
  using weights = disposing(await load(matrices, { form: "experts", from: ["m{expert}.weight"] }, 2));
  const weight: GroupedWeight = weights.of.experts("w");
  expect(formats(weight)).toEqual([keepsCodes() ? format : "dense"]);
  const isLying = orders.every((order) => order === lying);
  expect(weight.isReordered).toBe(keepsCodes() && format === "int4" && !isLying);
  for (const [expert, m] of matrices.entries()) {
    const offsets = stream.fromArray("i32", [3], Int32Array.of(0, expert === 0 ? K : 0, K));
    const product = await groupedLinear(stream, ones(), weight, offsets).readFloat32(stream);
    expect(turned(product)).toEqual(expected(m));
  }
});

it("an embedding has its rows as they lie, and a head that is tied to it", async () => {
  const m = matrix(mixed());
  const tied = { slot: "w", when: "missing" } as const;
  const head: ModelWeightRow = {
    slot: "head",
    form: "linear",
    from: ["head.weight"],
    shapes: [[N, K]],
    tiedTo: tied,
  };
  using weights = disposing(await load([m], { form: "embedding", from: ["m0.weight"] }, undefined, [head]));
  const ids = stream.fromArray(
    "i32",
    [N],
    Int32Array.from({ length: N }, (_, n) => n),
  );
  const rows = await embedding(stream, ids, weights.of.embedding("w"), { dtype: "f32" }).readFloat32(stream);
  expect(Array.from(rows, (value) => value + 0)).toEqual(expected(m));
  expect(await valuesOf(weights.of.linear("head"))).toEqual(expected(m));
});

function disposing(of: ModelWeights): Disposable & { readonly of: ModelWeights } {
  return { of, [Symbol.dispose]: () => of.dispose() };
}
