/** What a config of gpt-oss can say beyond its golden: rows of test/models/variants.test.ts. */
import type { Variant } from "./variant.js";

const gptOss = { num_local_experts: 6, num_experts_per_tok: 3, intermediate_size: 12, swiglu_limit: 0.5 };

export const gptOssVariants: readonly Variant[] = [
  {
    name: "gpt-oss without biases of attention, windows by layer_types, the rotation of its class",
    architecture: "GptOssForCausalLM",
    fields: {
      ...{ ...gptOss, attention_bias: false, sliding_window: 5, rope_theta: undefined },
      ...{ layer_types: ["full_attention", "sliding_attention"] },
    },
    rope: {
      theta: 150_000,
      scaling: { rope_type: "yarn", factor: 32, truncate: false, original_max_position_embeddings: 4096 },
    },
    windowOf: (layer) => (layer === 1 ? 5 : 0),
  },
  {
    name: "gpt-oss in bf16, without scaled rotation and with windows in every other layer",
    architecture: "GptOssForCausalLM",
    fields: { ...gptOss, attention_bias: true, sliding_window: 4, rope_scaling: null },
    windowOf: (layer) => (layer === 0 ? 4 : 0),
    dtype: "bf16",
  },
];
