// Contract: a matrix in codes comes to its place row for row, however it is cut into strips, viewed or divided; while it is loaded there is the
// weight as it is kept and little more; progress counts the bytes of the file.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Memory } from "../../lib/device/tensor.js";
import { dequantize } from "../../lib/ops/dequantize.js";
import { embedding } from "../../lib/ops/embedding.js";
import { linear } from "../../lib/ops/linear.js";
import type { LinearWeight } from "../../lib/ops/linearWeight.js";
import { readQuantization } from "../../lib/quantization/quantization.js";
import { loadWeights, type LoadProgress } from "../../lib/weights/loadWeights.js";
import { formsOf, type ModelWeightRow } from "../../lib/weights/modelWeights.js";
import { settleCodes } from "../../lib/weights/settleCodes.js";
import { type Shard, wholeModel } from "../../lib/weights/shard.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import { dequantised } from "../reference/storedFormats.js";
import { type CodedLayout, codedLayouts, writeFiles } from "../support/codedCheckpoint.js";
import { OpContext, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";
import { firstSeed } from "../support/seed.js";
import { randomStored, type RandomStored, storedOnDevice } from "../support/storedRows.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice({ threads: 2 });
  stream = device.createStream();
});
afterAll(() => device.dispose());

const layoutOf = (name: string): CodedLayout => codedLayouts.find((layout) => layout.name === name)!;

interface Loaded {
  /** Of each row of the weight. */
  readonly values: Float32Array;
  readonly kept: number;
  readonly peak: number;
  readonly progress: LoadProgress;
  readonly fileBytes: number;
}

/** A matrix "m.weight" through a file, as rows of one weight. */
async function load(
  layout: CodedLayout,
  m: RandomStored,
  row: Omit<ModelWeightRow, "slot" | "form" | "from" | "shapes"> = {},
  shard: Shard = wholeModel,
): Promise<Loaded> {
  const files = Object.fromEntries(
    Object.entries(layout.tensors(m)).map(([name, tensor]) => [`m.${name}`, tensor]),
  );
  const folder = await writeFiles({}, files);
  const config = new ConfigReader("config.json", { quantization_config: layout.config });
  const quantization = await readQuantization(config, folder);
  const rows = [{ slot: "m", form: "linear", from: ["m.weight"], shapes: [[m.N, m.K]], ...row } as const];
  await using checkpoint = await openCheckpoint(folder);
  const plan = await settleCodes(
    resolveWeights({ rows, numLayers: 0 }, checkpoint, shard, quantization),
    checkpoint,
  );
  const held: Memory[] = [];
  let peak = 0;
  const now = () => held.reduce((sum, memory) => sum + (memory.disposed ? 0 : memory.bytes), 0);
  const allocate = device.allocate.bind(device);
  const spy = vi.spyOn(device, "allocate").mockImplementation((bytes) => {
    held.push(allocate(bytes));
    peak = Math.max(peak, now());
    return held.at(-1)!;
  });
  const seen: LoadProgress[] = [];
  const onProgress = (progress: LoadProgress) => void seen.push(progress);
  const weights = await loadWeights(plan, formsOf({ rows, numLayers: 0 }), {
    ...{ checkpoint, stream, dtype: "f32", onProgress },
  });
  spy.mockRestore();
  const matrix = weights.linear("m");
  const values = await (matrix.isReordered ? productsOf(matrix) : rowsOf(matrix));
  const kept = weights.bytes;
  weights.dispose();
  const fileBytes = Object.entries(files).reduce(
    (sum, [name, { data }]) => sum + (/shape|input_scale|g_idx/.test(name) ? 0 : data.length),
    0,
  );
  return { values, kept, peak, progress: seen.at(-1)!, fileBytes };
}

async function rowsOf(matrix: LinearWeight): Promise<Float32Array> {
  using ids = stream.fromArray("i32", [matrix.outputs], Int32Array.from(range(matrix.outputs)));
  return await embedding(stream, ids, matrix, { dtype: "f32" }).readFloat32(stream);
}

/** The rows: what ones among zeros give, which is exact. */
async function productsOf(matrix: LinearWeight): Promise<Float32Array> {
  const { inputs: K, outputs: N } = matrix;
  const ones = Float32Array.from({ length: K * K }, (_, i) => (i % K === Math.floor(i / K) ? 1 : 0));
  using x = stream.fromArray("f32", [K, K], ones);
  const values = await linear(stream, x, matrix).readFloat32(stream); // [K, N]
  return values.map((_, i) => values[(i % K) * N + Math.floor(i / K)]!);
}

function made(layout: CodedLayout, N: number, K: number): RandomStored {
  const { scaleRows } = layout.stored;
  return randomStored(
    { ...layout.stored, N, K, scaleRows: scaleRows === Infinity ? N : scaleRows },
    new Random(firstSeed),
  );
}

/** Rows and columns of a matrix [N, K]. */
function part(all: Float64Array, K: number, rows: readonly number[], first = 0, end = K): Float32Array {
  return Float32Array.from(rows.flatMap((row) => [...all.subarray(row * K + first, row * K + end)]));
}
const range = (count: number, first = 0) => Array.from({ length: count }, (_, i) => first + i);
const expectEqual = (actual: Float32Array, expected: Float32Array) =>
  expect(
    Buffer.from(actual.map((value) => value + 0).buffer).equals(
      Buffer.from(expected.map((value) => value + 0).buffer),
    ),
  ).toBe(true);

describe("a matrix that is larger than a strip", () => {
  it.each([
    ["compressed-tensors int4, groups of 32", 5503, 3072, 4.6],
    ["compressed-tensors int8 in words, groups of 16 with zero points", 4103, 2048, 9.6],
    ["fp8 of DeepSeek, blocks of 24 x 40", 1001, 3080, 32.5],
    ["AWQ", 1032, 4096, 5.7],
    ["GPTQ of version 1", 1036, 4096, 4.9],
  ])("%s [%i, %i]", async (name, N, K, bits) => {
    const layout = layoutOf(name);
    const m = made(layout, N, K);
    const { values, kept, peak, progress, fileBytes } = await load(layout, m);
    const all = await dequantize(stream, storedOnDevice(new OpContext("cpu", device, stream), m)).readFloat32(
      stream,
    );
    expectEqual(values, all);
    expect(progress).toMatchObject({ loaded: fileBytes, total: fileBytes });
    const isTurned = /AWQ|GPTQ/.test(name); // rows stand across the words of all: they are read at once
    expect(peak - kept).toBeLessThan((isTurned ? 1.2 * fileBytes : 0) + (20 << 20));
    if (device.weightFormats.includes("int4")) expect((8 * kept) / (N * K)).toBeLessThan(bits);
  });
});

describe("some rows of a matrix, in some order", () => {
  const turned = range(96).map((i) => 8 * Math.floor(i / 8) + 2 * (i % 4) + (Math.floor(i / 4) % 2));
  it.each([
    ["neighbours", { axes: [3, 32], take: { axis: 0, start: 1, end: 3 } }, range(64, 32)],
    [
      "every second one",
      { axes: [48, 2], take: { axis: 1, start: 1, end: 2 } },
      range(48).map((i) => 2 * i + 1),
    ],
    ["pairs turned to halves", { axes: [12, 4, 2], order: [0, 2, 1] }, turned],
  ] as const)("%s", async (_name, view, rows) => {
    for (const layout of codedLayouts) {
      const m = made(layout, 96, 128);
      const { values } = await load(layout, m, { rowViews: [view] });
      expectEqual(values, part(dequantised(m), 128, rows));
    }
  });
});

describe("what a rank has of a matrix", () => {
  const second: Shard = { ...wholeModel, tp: { rank: 1, size: 2 } };
  const third: Shard = { ...wholeModel, tp: { rank: 2, size: 4 } };
  it.each([
    ["outputs", second, range(48, 48), 0, 128],
    ["outputs", third, range(24, 48), 0, 128],
    ["inputs", second, range(96), 64, 128],
    ["inputs", third, range(96), 64, 96],
  ] as const)("%s of %j", async (axis, shard, rows, first, end) => {
    for (const layout of codedLayouts) {
      const m = made(layout, 96, 128);
      const { values } = await load(layout, m, { split: { axis } }, shard);
      expectEqual(values, part(dequantised(m), 128, rows, first, end));
    }
  });
});
