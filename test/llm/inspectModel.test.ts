// Contract: inspectModel says of every family what a load then does, without reading weights: formats, numbers of parameters, bytes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { cacheSizes } from "../../lib/llm/cacheSizes.js";
import { inspectModel, type InspectOptions } from "../../lib/llm/inspectModel.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { codedCheckpoint, codedLayouts, writeFiles } from "../support/codedCheckpoint.js";
import { openTestDevice } from "../support/devices.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { goldenFamilies } from "../support/goldens.js";
import { Random } from "../support/random.js";
import { tinyConfig, tinyTensors } from "../support/tinyCheckpoint.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

/** Tensors begin at multiples of it. */
const alignment = 256;
const cases = goldenFamilies.flatMap((family) => [
  { family, quantize: undefined },
  { family, quantize: "int4" as const },
]);

describe("inspectModel", () => {
  it.each(cases)("$family, quantize $quantize", async ({ family, quantize }) => {
    const folder = goldenFolder(family);
    const found = await inspectModel(folder, { device: device.name as "cpu", quantize });
    const model = await loadModel(folder, { stream, quantize });
    const { weights, architecture, dtype, maxPositions } = model.shape;
    const sizes = { contextLength: maxPositions, chunkTokens: 512 };
    expect(found).toMatchObject({ kvDtype: dtype, cache: cacheSizes(model.state, sizes) });
    model.dispose();
    expect(found).toMatchObject({ path: folder, architecture, dtype, maxPositions });
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    expect(found.parameters).toBe(sum(weights.map(({ parameters }) => parameters)));
    expect(found.weightBytes).toBe(sum(found.parts.map(({ bytes }) => bytes)));
    const kept = sum(weights.map(({ bytes }) => bytes));
    const tensors = sum(found.parts.map(({ count, format }) => count * format.split(" + ").length));
    expect(found.weightBytes).toBeGreaterThanOrEqual(kept);
    expect(found.weightBytes).toBeLessThan(kept + tensors * alignment);
    const formats = new Set(found.parts.flatMap(({ format }) => format.split(" + ")));
    expect([...formats].sort()).toEqual([...new Set(weights.map(({ format }) => format))].sort());
  });

  it("has the memory of a context by its length and by the dtype of what is kept", async () => {
    const bytesOf = async (options: InspectOptions) => {
      const { cache } = await inspectModel("models/tiny-moe", { device: device.name as "cpu", ...options });
      return new Map(cache.map(({ tokens, bytes }) => [tokens, bytes]));
    };
    // 4 layers with 2 heads of keys and of values, 64 wide.
    const numbers = 4 * 2 * 2 * 64;
    const floats = await bytesOf({ kvDtype: "bf16" });
    expect(floats).toEqual(new Map([1024, 2048].map((tokens) => [tokens, tokens * numbers * 2])));
    expect([...(await bytesOf({ kvDtype: "bf16", contextLength: 100 }))]).toEqual([[100, 112 * numbers * 2]]);
    const codes = (await bytesOf({ kvDtype: "int8" })).get(2048)!;
    expect(codes).toBeGreaterThan(2048 * numbers);
    expect(codes).toBeLessThan(2048 * numbers * 1.25);
  });

  it("names the codes of a file in another order of inputs, and the bytes of that order", async () => {
    const config = tinyConfig("LlamaForCausalLM", { hidden_size: 64, intermediate_size: 96 });
    const layout = codedLayouts.find(({ name }) => name === "GPTQ in the order of activations")!;
    const { config: written, files } = codedCheckpoint(config, tinyTensors(config), layout, new Random(3));
    const { parts } = await inspectModel(await writeFiles(written, files), { device: device.name as "cpu" });
    const formats = new Set(parts.flatMap(({ format }) => format.split(" + ")));
    expect([...formats].filter((format) => format.startsWith("int4"))).toHaveLength(1);
    expect(formats).not.toContain("i32");
  });

  it("refuses what a load refuses, and options that decide nothing here", async () => {
    await expect(inspectModel("models/tiny-moe", { quantize: "int3" as "int4" })).rejects.toThrow(
      'got "int3"',
    );
    await expect(inspectModel("models/tiny-moe", { threads: 2 } as object)).rejects.toThrow("threads");
    await expect(inspectModel("models/tiny-moe", { device: "cpu", activations: "int8" })).rejects.toThrow(
      'activations: expected "auto" or "float", got "int8"',
    );
  });
});
