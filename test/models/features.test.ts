// Contract: of a family without a golden, each feature counts: a float64 decoder that leaves it out gives other logits than the model.
// variants.test.ts has that the decoder with all of them gives the same.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
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
