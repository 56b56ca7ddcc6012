// Contract: what a golden was made to show, it shows. A config that says what a mistake would do changes the logits of its
// checkpoint as much as the reference implementation says, at the positions that are stored.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { openTestDevice } from "../support/devices.js";
import { allowedDifference, compareGolden, isWithin, readGolden } from "../support/goldens.js";
import { runModel } from "../support/runModel.js";
import { withFields } from "../support/withFields.js";

type Fields = Readonly<Record<string, unknown>>;

const gptOssRope = {
  ...{ rope_type: "yarn", factor: 8, beta_fast: 32, beta_slow: 1 },
  original_max_position_embeddings: 512,
};

const mistakes: readonly { readonly family: string; readonly mistake: string; readonly fields: Fields }[] = [
  { family: "deepseek_v2", mistake: "yarn ignored", fields: { rope_scaling: null } },
  {
    family: "deepseek_v2",
    mistake: "softmax mscale ignored",
    fields: {
      rope_scaling: {
        ...{ type: "yarn", factor: 4, original_max_position_embeddings: 64, beta_fast: 32, beta_slow: 1 },
        ...{ mscale: 0, mscale_all_dim: 0, attention_factor: 1 },
      },
    },
  },
  { family: "deepseek_v3", mistake: "groups ignored", fields: { n_group: 1, topk_group: 1 } },
  { family: "deepseek_v3", mistake: "routed_scaling_factor ignored", fields: { routed_scaling_factor: 1 } },
  { family: "deepseek_v3", mistake: "not renormalised", fields: { norm_topk_prob: false } },
  { family: "deepseek_v3", mistake: "half rotation", fields: { rope_interleave: false } },
  { family: "deepseek_v32", mistake: "dense attention", fields: { index_topk: 512 } },
  { family: "deepseek_v32", mistake: "top 17", fields: { index_topk: 17 } },
  { family: "gemma2", mistake: "window 33", fields: { sliding_window: 33 } },
  { family: "gemma2", mistake: "no window", fields: { sliding_window: null } },
  {
    family: "gemma2",
    mistake: "odd layers slide",
    fields: { layer_types: ["full_attention", "sliding_attention", "full_attention", "sliding_attention"] },
  },
  { family: "gemma2", mistake: "no attention softcap", fields: { attn_logit_softcapping: null } },
  { family: "gemma2", mistake: "no final softcap", fields: { final_logit_softcapping: null } },
  { family: "gemma3", mistake: "window 33", fields: { sliding_window: 33 } },
  {
    family: "gemma3",
    mistake: "global theta everywhere",
    fields: { rope_local_base_freq: 1_000_000 },
  },
  { family: "gemma3", mistake: "local theta everywhere", fields: { rope_theta: 10_000 } },
  { family: "glm4", mistake: "all dimensions rotated", fields: { partial_rotary_factor: 1 } },
  { family: "glm4_moe", mistake: "all dimensions rotated", fields: { partial_rotary_factor: 1 } },
  { family: "glm4_moe", mistake: "routed_scaling_factor ignored", fields: { routed_scaling_factor: 1 } },
  { family: "glm4_moe", mistake: "not renormalised", fields: { norm_topk_prob: false } },
  { family: "gpt_oss", mistake: "window 33", fields: { sliding_window: 33 } },
  { family: "gpt_oss", mistake: "no window", fields: { sliding_window: null, layer_types: undefined } },
  { family: "gpt_oss", mistake: "no clamp", fields: { swiglu_limit: 1e30 } },
  { family: "gpt_oss", mistake: "yarn ignored", fields: { rope_scaling: null } },
  {
    family: "gpt_oss",
    mistake: "truncate=false",
    fields: { rope_scaling: { ...gptOssRope, truncate: false } },
  },
  { family: "granite", mistake: "embedding_multiplier ignored", fields: { embedding_multiplier: 1 } },
  { family: "granite", mistake: "residual_multiplier ignored", fields: { residual_multiplier: 1 } },
  { family: "granite", mistake: "1/sqrt(head_dim)", fields: { attention_multiplier: 32 ** -0.5 } },
  { family: "granite", mistake: "logits multiplied", fields: { logits_scaling: 1 / 8 } },
  { family: "llama", mistake: "rope_scaling ignored", fields: { rope_scaling: null } },
  { family: "mixtral", mistake: "top-1", fields: { num_experts_per_tok: 1 } },
  { family: "olmo2", mistake: "rope_theta 10000", fields: { rope_theta: 10_000 } },
  { family: "phi3", mistake: "rope_scaling ignored", fields: { rope_scaling: null } },
  {
    family: "qwen2",
    mistake: "window although use_sliding_window is false",
    fields: { use_sliding_window: true },
  },
  { family: "qwen2", mistake: "rope_theta 10000", fields: { rope_theta: undefined } },
  { family: "qwen3_moe", mistake: "norm_topk_prob ignored", fields: { norm_topk_prob: false } },
  { family: "smollm3", mistake: "rope in every layer", fields: { no_rope_layers: [1, 1, 1, 1, 1] } },
  {
    family: "smollm3",
    mistake: "list read the other way round",
    fields: { no_rope_layers: [0, 0, 0, 1, 0] },
  },
];

describe("a mistake shows", () => {
  let device: Device;
  let stream: Stream;
  beforeAll(() => {
    device = openTestDevice();
    stream = device.createStream();
  });
  afterAll(() => device.dispose());

  it.each(mistakes)("$family: $mistake", async ({ family, mistake, fields }) => {
    const golden = await readGolden(family);
    const long = golden.sequences.at(-1)!;
    const model = await loadModel(await withFields(golden.folder, fields), { stream, dtype: "f32" });
    const difference = compareGolden([long], await runModel(model, stream, [long.tokens]));
    expect(isWithin(difference, allowedDifference(golden, "bf16"))).toBe(false); // let alone in f32
    expect(Math.abs(difference.mean / golden.mistakes.get(mistake)! - 1)).toBeLessThan(0.3); // of all positions and of some
    model.dispose();
  });
});
