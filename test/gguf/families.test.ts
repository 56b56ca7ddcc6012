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
import type { FloatDType } from "../support/dtype.js";
import { firstSeed } from "../support/seed.js";
import { type TinyConfig, tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

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
  ...["glm4", "phi3", "gpt_oss", "deepseek_v2", "deepseek_v3", "deepseek_v32", "mamba2", "gpt2"],
]
  .map((family): { readonly family: string; readonly fields?: Config } => ({ family }))
  .concat([
    { family: "glm4_moe", fields: { num_nextn_predict_layers: 2 } },
    { family: "deepseek_v2", fields: { old_converter: true } },
    { family: "deepseek_v3", fields: { old_converter: true } },
  ]);

const layered = { rms_norm_eps: undefined };
const alternating = ["sliding_attention", "full_attention"];
const experts = { num_experts: 4, num_experts_per_tok: 2 };

/** Families without a golden. */
const tiny: readonly TinyConfig[] = [
  tinyConfig("CohereForCausalLM", {
    ...{ ...layered, layer_norm_eps: 1e-5, logit_scale: 0.25, tie_word_embeddings: true },
  }),
  tinyConfig("Cohere2ForCausalLM", {
    ...{ ...layered, layer_norm_eps: 1e-5, logit_scale: 0.25, tie_word_embeddings: true, sliding_window: 5 },
    num_hidden_layers: 5,
  }),
  tinyConfig("Starcoder2ForCausalLM", {
    ...{ ...layered, norm_epsilon: 1e-5, use_bias: true, sliding_window: 4096, tie_word_embeddings: true },
    hidden_act: "gelu_pytorch_tanh",
  }),
  tinyConfig("StableLmForCausalLM", {
    ...{ ...layered, layer_norm_eps: 1e-5, use_qkv_bias: true, partial_rotary_factor: 0.25 },
  }),
  tinyConfig("StableLmForCausalLM", {
    ...{ ...layered, layer_norm_eps: 1e-5, use_parallel_residual: true, partial_rotary_factor: 0.5 },
  }),
  tinyConfig("Exaone4ForCausalLM", { sliding_window: 5, layer_types: alternating }),
  tinyConfig("Exaone4ForCausalLM", { sliding_window: null }),
  tinyConfig("Qwen2MoeForCausalLM", {
    ...{ ...experts, moe_intermediate_size: 8, shared_expert_intermediate_size: 12 },
  }),
  tinyConfig("OlmoeForCausalLM", { ...experts, clip_qkv: 0.5, intermediate_size: 8 }),
  tinyConfig("Olmo3ForCausalLM", {
    ...{ sliding_window: 5, num_hidden_layers: 4, max_position_embeddings: 64 },
    rope_scaling: { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 },
  }),
  tinyConfig("Olmo3ForCausalLM", {
    ...{ sliding_window: 5, layer_types: ["full_attention", "sliding_attention"], attention_bias: true },
  }),
  tinyConfig("GraniteMoeForCausalLM", {
    ...{ num_local_experts: 4, num_experts_per_tok: 2, attention_multiplier: 0.25 },
    ...{ embedding_multiplier: 2, residual_multiplier: 0.5, logits_scaling: 3 },
  }),
];

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
    const { sequences } = await readGolden(family);
    await expectSameBits(goldenFolder(family), { matrices, dtype, fields, tokens: sequences.at(-1)!.tokens });
  },
);

it.each(tiny.flatMap((config) => stored.map((how) => ({ config, ...how }))))(
  "$config.architectures.0 gives the same in $matrices, computed in $dtype",
  async ({ config, matrices, dtype }) => {
    const folder = await writeCheckpoint(
      config,
      tinyTensors(config, () => "bf16"),
    );
    await expectSameBits(folder, {
      matrices,
      dtype,
      tokens: Array.from({ length: 40 }, (_, i) => (i * 7) % 37),
    });
  },
);

async function expectSameBits(
  source: string,
  how: {
    readonly matrices: FloatDType;
    readonly dtype: "f32" | "bf16";
    readonly fields?: Config | undefined;
    readonly tokens: readonly number[];
  },
): Promise<void> {
  const { matrices, dtype, fields, tokens } = how;
  const folder = await mkdtemp(join(root, "twin-"));
  await copyFile(join(source, "config.json"), join(folder, "config.json"));
  await writeFile(join(folder, "model.safetensors"), await recoded(source, matrices));
  const file = join(folder, "model.gguf");
  await writeFile(file, await convertToFile(source, matrices, {}, fields));
  const logits = [];
  for (const path of [folder, file]) {
    const model = await loadModel(path, { stream, dtype });
    logits.push(await runModel(model, stream, [tokens]));
    model.dispose();
  }
  const [expected, actual] = logits.map(([values]) => Buffer.from(values!.buffer));
  expect(actual!.equals(expected!)).toBe(true);
}
