// Contract: checkpoints in published weight formats compute their trusted logits, at once and with the last tokens one by one, and every matrix of theirs
// dequantises to the numbers whose hash is on record.
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../lib/checkpoint/safetensors.js";
import { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { describeModel, loadModel } from "../../lib/llm/loadModel.js";
import { headLinear } from "../../lib/ops/headLinear.js";
import type { GroupedWeight } from "../../lib/ops/linearWeight.js";
import { loadWeights } from "../../lib/weights/loadWeights.js";
import { formsOf, type ModelWeightRow } from "../../lib/weights/modelWeights.js";
import { wholeModel } from "../../lib/weights/shard.js";
import { resolveWeights } from "../../lib/weights/weightMap.js";
import { openTestDevice } from "../support/devices.js";
import { goldenFormats, type GoldenFormat, goldenMatrices, readFormat } from "../support/goldenFormats.js";
import { allowedDifference, compareGolden } from "../support/goldens.js";
import { runModel } from "../support/runModel.js";
import { someOf } from "../support/seed.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

/** The emulated GPU takes some: others with another seed. */
const isEmulated = !Device.available().includes("cpu");
const all = goldenFormats.flatMap((format) =>
  (["f32", "bf16", "int8"] as const).map((numbers) => ({ format, numbers })),
);

it("there is one of every method", () => {
  expect(goldenMatrices).toEqual([
    ...["awq", "ct_fp8_channel", "ct_fp8_tensor", "ct_int4_g128", "ct_int4_g128_zp", "ct_int4_g32"],
    ...["ct_int8_w8a16", "ct_int8_w8a8", "fp8_block", "fp8_block_moe", "gptq", "gptq_desc_act", "mxfp4"],
  ]);
  expect(goldenFormats).toEqual([
    ...["awq", "ct_int4_g128_zp", "ct_int4_g32", "ct_int8_w8a16", "fp8_block_moe", "gptq_desc_act", "mxfp4"],
  ]);
});

describe.each(isEmulated ? someOf(all, 3) : all)("$format in $numbers", ({ format, numbers }) => {
  it.each([{ way: "at once" }, { way: "with the last four one by one" }])(
    "computes its logits $way",
    async ({ way }) => {
      const golden = readFormat(format);
      const { sequence } = golden;
      const model = await loadModel(golden.folder, {
        ...(numbers === "int8"
          ? { stream, dtype: "bf16" } // activations become bytes where that is so by default
          : { stream, dtype: numbers, activations: "float" }),
      });
      const chunk = way === "at once" ? Infinity : [sequence.tokens.length - 4, 1];
      const logits = await runModel(model, stream, [sequence.tokens], { chunk });
      const allowed = allowedDifference(golden, numbers);
      const { max, rms, relative, regret } = compareGolden([sequence], logits);
      expect(max).toBeLessThan(allowed.max);
      expect(rms).toBeLessThan(allowed.rms);
      expect(relative).toBeLessThan(allowed.relative);
      expect(regret).toBeLessThan(allowed.regret);
      model.dispose();
    },
  );
});

describe.each(isEmulated ? someOf(goldenMatrices, 3) : goldenMatrices)("%s", (format) => {
  it("dequantises to the numbers on record", async () => {
    const golden = readFormat(format);
    expect(Object.keys(golden.hashes).length).toBeGreaterThan(0);
    expect(await hashesOf(golden)).toEqual(
      Object.fromEntries(Object.entries(golden.hashes).map(([name, { sha256 }]) => [name, sha256])),
    );
  });
});

/** Each matrix, through the loader, in the order of its shape. */
async function hashesOf({ folder, hashes }: GoldenFormat): Promise<Record<string, string>> {
  const { quantization, definition } = await describeModel(folder);
  const rows = Object.entries(hashes).map(([name, { shape }]): ModelWeightRow => {
    const isStacked = shape.length === 3; // [E, K, N]
    const form = isStacked
      ? ({ form: "experts", stacked: true, transpose: true } as const)
      : { form: "table" as const };
    return { slot: name, from: [name], shapes: [shape.slice(-2)], ...form };
  });
  await using checkpoint = await openCheckpoint(folder);
  const { numExperts = 1 } = definition.weights;
  const table = { rows, numLayers: 0, numExperts, ignored: [/./] };
  const plan = resolveWeights(table, checkpoint, wholeModel, quantization);
  const weights = await loadWeights(plan, formsOf(table), { checkpoint, stream, dtype: "f32" });
  const result: Record<string, string> = {};
  for (const { slot, form } of rows)
    result[slot] = hashOf(
      form === "table" ? await weights.table(slot).readFloat32(stream) : await turned(weights.experts(slot)),
    );
  weights.dispose();
  return result;
}

/** [E, K, N]: what ones among zeros give, which is exact. */
async function turned(stack: GroupedWeight): Promise<Float32Array> {
  const { experts: E, inputs: K, outputs: N } = stack;
  const ones = Float32Array.from({ length: K * E * K }, (_, i) =>
    i % K === Math.floor(i / (E * K)) ? 1 : 0,
  );
  using x = stream.fromArray("f32", [K, E, K], ones);
  const values = await headLinear(stream, x, stack).readFloat32(stream); // [K, E, N]
  return values.map((_, i) => {
    const [e, k, n] = [Math.floor(i / (K * N)), Math.floor(i / N) % K, i % N];
    return values[(k * E + e) * N + n]!;
  });
}

/** -0 counts as 0. */
function hashOf(values: Float32Array): string {
  return createHash("sha256")
    .update(new Uint8Array(values.map((value) => value + 0).buffer))
    .digest("hex");
}
