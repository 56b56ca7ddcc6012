// Contract: what a config can say beyond the goldens (windows, biases, tied heads, activations, dense layers among sparse
// ones, stored and activation dtypes) gives the logits of a float64 decoder on the same random weights.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device.js";
import type { FloatDType } from "../../lib/dtype.js";
import { loadModel } from "../../lib/models/load.js";
import type { Stream } from "../../lib/stream.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { referenceTransformer } from "../support/referenceTransformer.js";
import { runModel } from "../support/runModel.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

interface Variant {
  readonly name: string;
  readonly architecture: string;
  readonly fields?: Readonly<Record<string, unknown>>;
  readonly windowOf?: (layer: number) => number;
  /** Stored dtype by tensor name; default f32. */
  readonly dtypeOf?: (name: string) => FloatDType;
  /** Activation dtype; default f32. */
  readonly dtype?: FloatDType;
}

/** Norm of the difference over norm of the logits: about ten roundings to the activation dtype. */
const tolerances: Readonly<Record<FloatDType, number>> = { f32: 1e-5, bf16: 4e-2, f16: 5e-3 };

const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 };
const moe = { num_experts: 5, num_experts_per_tok: 2, moe_intermediate_size: 12 };
const sparse = {
  ...moe,
  num_hidden_layers: 4,
  decoder_sparse_step: 2,
  mlp_only_layers: [3],
  norm_topk_prob: false,
};
const isNorm = (name: string): boolean => name.includes("norm");

const variants: readonly Variant[] = [
  { name: "Llama", architecture: "LlamaForCausalLM" },
  {
    name: "Llama with biases",
    architecture: "LlamaForCausalLM",
    fields: { attention_bias: true, mlp_bias: true },
  },
  { name: "a tied head", architecture: "LlamaForCausalLM", fields: { tie_word_embeddings: true } },
  { name: "gelu", architecture: "LlamaForCausalLM", fields: { hidden_act: "gelu" } },
  { name: "gelu by tanh", architecture: "LlamaForCausalLM", fields: { hidden_act: "gelu_pytorch_tanh" } },
  { name: "yarn", architecture: "LlamaForCausalLM", fields: { rope_scaling: yarn } },
  { name: "one key head", architecture: "LlamaForCausalLM", fields: { num_key_value_heads: 1 } },
  { name: "Mistral", architecture: "MistralForCausalLM", fields: { sliding_window: 5 }, windowOf: () => 5 },
  { name: "Mistral without a window", architecture: "MistralForCausalLM", fields: { sliding_window: null } },
  {
    name: "Qwen3 with windows from layer 1 on",
    architecture: "Qwen3ForCausalLM",
    fields: { use_sliding_window: true, sliding_window: 4, max_window_layers: 1, attention_bias: true },
    windowOf: (layer) => (layer === 0 ? 0 : 4),
  },
  {
    name: "Qwen3-MoE, not renormalised, two dense layers",
    architecture: "Qwen3MoeForCausalLM",
    fields: sparse,
  },
  { name: "f16 weights", architecture: "LlamaForCausalLM", dtypeOf: () => "f16" },
  {
    name: "bf16 weights",
    architecture: "Qwen3MoeForCausalLM",
    fields: { ...moe, norm_topk_prob: true },
    dtypeOf: () => "bf16",
  },
  {
    name: "f32 norms, bf16 matrices",
    architecture: "Qwen3ForCausalLM",
    dtypeOf: (name) => (isNorm(name) ? "f32" : "bf16"),
  },
  {
    name: "f32 weights",
    architecture: "LlamaForCausalLM",
    fields: { tie_word_embeddings: true },
    dtype: "bf16",
  },
  { name: "f16 throughout", architecture: "LlamaForCausalLM", dtypeOf: () => "f16", dtype: "f16" },
  {
    name: "f16 weights, some bf16",
    architecture: "Qwen3MoeForCausalLM",
    fields: sparse,
    dtypeOf: (name) => (name.includes("mlp") ? "bf16" : "f16"),
    dtype: "bf16",
  },
];

describe("matches a float64 decoder", () => {
  let device: Device;
  let stream: Stream;
  beforeAll(() => {
    device = openTestDevice();
    stream = device.createStream();
  });
  afterAll(() => device.dispose());

  it.each(variants)("$name, activations $dtype", async (variant) => {
    const { architecture, fields, windowOf, dtypeOf, dtype = "f32" } = variant;
    const config = tinyConfig(architecture, fields);
    const tensors = tinyTensors(config, dtypeOf);
    const model = await loadModel(await writeCheckpoint(config, tensors), { stream, dtype });
    const tokens = Array.from({ length: 23 }, (_, t) => (t * 7 + 3) % config.vocab_size);
    const [logits] = await runModel(model, stream, [tokens], { chunk: 9 });
    const expected = Float32Array.from(referenceTransformer(config, tensors, tokens, windowOf));
    expect(model.shape.dtype).toBe(dtype);
    expect(compareLogits(logits!, expected, config.vocab_size).relative).toBeLessThan(tolerances[dtype]);
    model.dispose();
  });
});
