// Contract: a GGUF file of a family computes the very bits that its safetensors checkpoint does, whatever the converter does to names,
// layouts and values: matrices in bf16, f32 and f16, activations in f32 and bf16.
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { openTestDevice } from "../support/devices.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { type Config, convertToFile, recoded } from "../support/gguf/convert.js";
import { readGolden } from "../support/goldens.js";
import { runModel } from "../support/runModel.js";
import { firstSeed } from "../support/seed.js";

let device: Device;
let stream: Stream;
let root: string;

beforeAll(async () => {
  device = openTestDevice();
  stream = device.createStream();
  root = await mkdtemp(join(tmpdir(), "warploop-gguf-"));
});
afterAll(async () => {
  await device.dispose();
  await rm(root, { recursive: true });
});

const families: readonly { readonly family: string; readonly fields?: Config }[] = [
  ...["llama", "mixtral", "granite", "smollm3", "qwen2", "qwen3", "qwen3_moe", "gemma2", "gemma3", "olmo2"],
  ...["glm4", "phi3", "gpt_oss", "deepseek_v2", "deepseek_v3", "mamba2"],
]
  .map((family): { readonly family: string; readonly fields?: Config } => ({ family }))
  .concat([
    { family: "glm4_moe", fields: { num_nextn_predict_layers: 2 } },
    { family: "deepseek_v2", fields: { old_converter: true } },
    { family: "deepseek_v3", fields: { old_converter: true } },
  ]);

const stored = [
  { matrices: "bf16", dtype: "f32" },
  { matrices: "bf16", dtype: "bf16" },
  { matrices: "f16", dtype: "f32" },
  { matrices: "f32", dtype: "f32" },
] as const;

/** One of each family, the next with another seed. */
const cases = families.flatMap((family, i) => {
  const one = stored[(firstSeed + i) % stored.length]!;
  return (process.env["WARPLOOP_TEST_WHOLE"] ? stored : [one]).map((how) => ({ ...family, ...how }));
});

it.each(cases)(
  "$family gives the same in $matrices, computed in $dtype $fields",
  async ({ family, fields, matrices, dtype }) => {
    const golden = await readGolden(family);
    const folder = await mkdtemp(join(root, "twin-"));
    await copyFile(join(goldenFolder(family), "config.json"), join(folder, "config.json"));
    await writeFile(join(folder, "model.safetensors"), await recoded(goldenFolder(family), matrices));
    const file = join(folder, "model.gguf");
    await writeFile(file, await convertToFile(goldenFolder(family), matrices, {}, fields));
    const logits = [];
    for (const path of [folder, file]) {
      const model = await loadModel(path, { stream, dtype });
      logits.push(await runModel(model, stream, [golden.sequences.at(-1)!.tokens]));
      model.dispose();
    }
    const [expected, actual] = logits.map(([values]) => Buffer.from(values!.buffer));
    expect(actual!.equals(expected!)).toBe(true);
  },
);
