// Contract: of a family without a golden, each feature counts: a float64 decoder that leaves it out gives other logits than the model.
// variants.test.ts has that the decoder with all of them gives the same.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { limitedV2, tinyV3 } from "../support/deepseekVariants.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { referenceTransformer, type ReferenceOptions } from "../support/referenceTransformer.js";
import { runModel } from "../support/runModel.js";
import { tinyConfig, tinyTensors, type TinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

type Fields = Readonly<Record<string, unknown>>;

interface Feature {
  readonly feature: string;
  /** What the config of a decoder without it says. */
  readonly fields?: Fields;
  /** The tensors that are zeros without it. */
  readonly zeros?: RegExp;
  readonly options?: ReferenceOptions;
}

interface Family {
  readonly architecture: string;
  readonly fields: Fields;
  readonly options?: ReferenceOptions;
  readonly features: readonly Feature[];
}

const experts = { num_experts_per_tok: 2, moe_intermediate_size: 12 };

const yarn = (theta?: number) => ({
  ...{ rope_type: "yarn", factor: 4, original_max_position_embeddings: 16, rope_theta: theta },
});

const families: readonly Family[] = [
  {
    architecture: "Glm4MoeForCausalLM",
    fields: {
      ...{ ...experts, n_routed_experts: 8, n_group: 4, topk_group: 2, n_shared_experts: 2 },
      ...{ first_k_dense_replace: 1, routed_scaling_factor: 2.5, attention_bias: true, use_qk_norm: true },
    },
    options: { rope: { rotaryDim: 8 } },
    features: [
      { feature: "biases of queries, keys and values", zeros: /_proj\.bias/ },
      { feature: "norms of heads", fields: { use_qk_norm: false } },
      { feature: "half of a head alone is rotated", options: { rope: { rotaryDim: 16 } } },
      { feature: "groups of experts", fields: { n_group: 1, topk_group: 1 } },
      { feature: "the bias that chooses", zeros: /e_score_correction_bias/ },
      { feature: "renormalised weights", fields: { norm_topk_prob: false } },
      { feature: "the factor of the experts", fields: { routed_scaling_factor: 1 } },
      { feature: "shared experts", zeros: /shared_experts/ },
      { feature: "a dense first layer", zeros: /layers\.0\.mlp/ },
    ],
  },
  {
    architecture: "DeepseekV2ForCausalLM",
    fields: limitedV2,
    features: [
      { feature: "groups of experts", fields: { topk_method: "greedy" } },
      { feature: "the groups with the best experts", fields: { topk_group: 1 } },
      { feature: "the factor of the experts", fields: { routed_scaling_factor: 1 } },
      { feature: "weights as they are", fields: { norm_topk_prob: true } },
      { feature: "neighbours are rotated", options: { layout: { interleaved: false } } },
      { feature: "norms of the latents of queries", zeros: /q_a_layernorm/ },
      { feature: "norms of latents", zeros: /kv_a_layernorm/ },
    ],
  },
  {
    architecture: "DeepseekV3ForCausalLM",
    fields: { ...tinyV3, q_lora_rank: null, rope_interleave: false },
    features: [
      { feature: "halves are rotated", options: { layout: { interleaved: true } } },
      { feature: "the bias that chooses", zeros: /e_score_correction_bias/ },
      { feature: "groups of experts", fields: { n_group: 1, topk_group: 1 } },
      { feature: "renormalised weights", fields: { norm_topk_prob: false } },
      { feature: "shared experts", zeros: /shared_experts/ },
    ],
  },
  {
    architecture: "Qwen2MoeForCausalLM",
    fields: { ...experts, num_experts: 6, shared_expert_intermediate_size: 20 },
    features: [
      { feature: "biases of queries, keys and values", zeros: /_proj\.bias/ },
      { feature: "the shared expert", zeros: /shared_expert\.down/ },
      { feature: "its gate", zeros: /shared_expert_gate/ },
      { feature: "weights that are not renormalised", fields: { norm_topk_prob: true } },
      { feature: "the experts", zeros: /mlp\.experts/ },
    ],
  },
  {
    architecture: "GraniteMoeForCausalLM",
    fields: {
      ...{ num_local_experts: 6, num_experts_per_tok: 3, intermediate_size: 12, embedding_multiplier: 3 },
      ...{ attention_multiplier: 2, residual_multiplier: 0.4, logits_scaling: 2 },
    },
    options: { factors: { embedding: 3, scores: 2, residual: 0.4, logits: 0.5 } },
    features: [
      {
        feature: "the factor of embeddings",
        options: { factors: { scores: 2, residual: 0.4, logits: 0.5 } },
      },
      { feature: "the factor of scores", options: { factors: { embedding: 3, residual: 0.4, logits: 0.5 } } },
      {
        feature: "the factor of residuals",
        options: { factors: { embedding: 3, scores: 2, logits: 0.5 } },
      },
      { feature: "the factor of logits", options: { factors: { embedding: 3, scores: 2, residual: 0.4 } } },
      { feature: "the gates of the experts", zeros: /input_linear/ },
      { feature: "the experts", zeros: /output_linear/ },
    ],
  },
  {
    architecture: "OlmoeForCausalLM",
    fields: { num_experts: 6, num_experts_per_tok: 3, intermediate_size: 12, clip_qkv: 0.5 },
    options: { clip: 0.5 },
    features: [
      { feature: "clamped queries, keys and values", options: { clip: undefined } },
      { feature: "norms of queries and keys", options: { qkNorm: "none" } },
      { feature: "norms over all heads together", options: { qkNorm: "each head" } },
      { feature: "weights that are not renormalised", fields: { norm_topk_prob: true } },
      { feature: "the experts", zeros: /mlp\.experts/ },
    ],
  },
  {
    architecture: "MistralForCausalLM",
    fields: { sliding_window: 5 },
    options: { windowOf: () => 5 },
    features: [{ feature: "windows", options: { windowOf: () => 0 } }],
  },
  {
    architecture: "MinistralForCausalLM",
    fields: {
      ...{ sliding_window: 5, layer_types: ["sliding_attention", "full_attention"], rope_theta: undefined },
      rope_parameters: { full_attention: yarn(50_000), sliding_attention: { rope_theta: 500 } },
    },
    options: {
      ...{ windowOf: (layer) => (layer === 0 ? 5 : 0), windowedRope: { theta: 500 } },
      rope: { theta: 50_000, scaling: yarn() },
    },
    features: [
      { feature: "windows", options: { windowOf: () => 0 } },
      { feature: "layers without a window", options: { windowOf: () => 5 } },
      {
        feature: "a rotation of each type of layers",
        options: { windowedRope: { theta: 50_000, scaling: yarn() } },
      },
      { feature: "YaRN", options: { rope: { theta: 50_000 } } },
    ],
  },
  {
    architecture: "Olmo3ForCausalLM",
    fields: { sliding_window: 5, num_hidden_layers: 4, rope_scaling: yarn() },
    options: { windowOf: (layer) => (layer === 3 ? 0 : 5), windowedRope: { scaling: null } },
    features: [
      { feature: "windows", options: { windowOf: () => 0, windowedRope: { scaling: null } } },
      { feature: "layers without a window", options: { windowOf: () => 5 } },
      { feature: "a rotation of layers with a window that is not scaled", options: { windowedRope: {} } },
      { feature: "a scaled one of the others", options: { rope: { scaling: null } } },
      { feature: "norms of queries and keys", options: { qkNorm: "none" } },
      { feature: "norms over all heads together", options: { qkNorm: "each head" } },
      {
        feature: "norms behind the parts, not in front of them",
        options: {
          layout: { norms: { attention: "post_attention_layernorm", mlp: "post_feedforward_layernorm" } },
        },
      },
    ],
  },
  {
    architecture: "Starcoder2ForCausalLM",
    fields: {
      ...{ norm_epsilon: 0.1, rms_norm_eps: undefined, use_bias: true, tie_word_embeddings: true },
      sliding_window: 5,
    },
    options: { windowOf: () => 5 },
    features: [
      { feature: "windows", options: { windowOf: () => 0 } },
      { feature: "means that norms subtract", options: { layout: { norm: undefined } } },
      { feature: "biases of norms", zeros: /norm\.bias/ },
      { feature: "its eps", fields: { norm_epsilon: 1e-5 } },
      { feature: "biases of queries, keys and values", zeros: /[qkv]_proj\.bias/ },
      { feature: "the bias behind attention", zeros: /o_proj\.bias/ },
      { feature: "biases of its MLP", zeros: /mlp.*bias/ },
    ],
  },
  {
    architecture: "StableLmForCausalLM",
    fields: {
      ...{ layer_norm_eps: 0.1, rms_norm_eps: undefined, use_qkv_bias: true },
      use_parallel_residual: true,
    },
    options: { rope: { rotaryDim: 4 } },
    features: [
      { feature: "a quarter of a head alone is rotated", options: { rope: { rotaryDim: 16 } } },
      { feature: "means that norms subtract", options: { layout: { norm: undefined } } },
      { feature: "biases of norms", zeros: /norm\.bias/ },
      { feature: "biases of queries, keys and values", zeros: /_proj\.bias/ },
      {
        feature: "feed-forward beside attention",
        options: {
          layout: { parallel: false, norms: { attention: "input_layernorm", mlp: "input_layernorm" } },
        },
      },
    ],
  },
  {
    architecture: "CohereForCausalLM",
    fields: { layer_norm_eps: 0.1, rms_norm_eps: undefined, tie_word_embeddings: true },
    options: { factors: { logits: 1 / 16 } },
    features: [
      { feature: "the factor of logits", options: { factors: {} } },
      { feature: "means that norms subtract", options: { layout: { norm: undefined } } },
      { feature: "pairs of neighbours", options: { layout: { interleaved: false } } },
      {
        feature: "feed-forward beside attention",
        options: {
          layout: { parallel: false, norms: { attention: "input_layernorm", mlp: "input_layernorm" } },
        },
      },
    ],
  },
  {
    architecture: "Cohere2ForCausalLM",
    fields: {
      ...{ layer_norm_eps: 0.1, rms_norm_eps: undefined, tie_word_embeddings: true, sliding_window: 5 },
      num_hidden_layers: 4,
    },
    options: {
      ...{ factors: { logits: 1 / 16 }, windowOf: (layer) => (layer === 3 ? 0 : 5) },
      isRotated: (layer) => layer < 3,
    },
    features: [
      { feature: "windows", options: { windowOf: () => 0 } },
      { feature: "layers without a window", options: { windowOf: () => 5 } },
      { feature: "layers that are not rotated", options: { isRotated: () => true } },
      { feature: "layers that are", options: { isRotated: () => false } },
    ],
  },
  {
    architecture: "Exaone4ForCausalLM",
    fields: { sliding_window: 5, num_hidden_layers: 4 },
    options: { windowOf: (layer) => (layer === 3 ? 0 : 5), isRotated: (layer) => layer < 3 },
    features: [
      { feature: "windows", options: { windowOf: () => 0 } },
      { feature: "layers without a window", options: { windowOf: () => 5 } },
      { feature: "layers that are not rotated", options: { isRotated: () => true } },
      { feature: "norms of heads", options: { qkNorm: "none" } },
      {
        feature: "norms behind the parts, not in front of them",
        options: {
          layout: { norms: { attention: "post_attention_layernorm", mlp: "post_feedforward_layernorm" } },
        },
      },
    ],
  },
];

/** What f32 differs by, as in variants.test.ts, and a hundred times as much. */
const rounding = 1e-5;
const least = 100 * rounding;

describe.each(families)("$architecture", ({ architecture, fields, options, features }) => {
  let device: Device;
  let stream: Stream;
  beforeAll(() => {
    device = openTestDevice();
    stream = device.createStream();
  });
  afterAll(() => device.dispose());

  it.each(features)("$feature", async (without) => {
    const config = tinyConfig(architecture, fields);
    const tensors = tinyTensors(config);
    const tokens = Array.from({ length: 23 }, (_, t) => (t * 7 + 3) % config.vocab_size);
    const model = await loadModel(await writeCheckpoint(config, tensors), { stream, dtype: "f32" });
    const [logits] = await runModel(model, stream, [tokens]);
    model.dispose();
    const distance = (fields: Fields, used: TinyTensors, options?: ReferenceOptions): number => {
      const expected = referenceTransformer({ ...config, ...fields }, used, tokens, options);
      return compareLogits(logits!, Float32Array.from(expected), config.vocab_size).relative;
    };
    expect(distance({}, tensors, options)).toBeLessThan(rounding);
    const some = withZeros(tensors, without.zeros);
    expect(distance(without.fields ?? {}, some, { ...options, ...without.options })).toBeGreaterThan(least);
  });
});

function withZeros(tensors: TinyTensors, names: RegExp | undefined): TinyTensors {
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const values = names?.test(name) ? new Float64Array(tensor.values.length) : tensor.values;
      return [name, { ...tensor, values }];
    }),
  );
}
