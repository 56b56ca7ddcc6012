/** `olmo2` and `glm4`: with norms behind attention and feed-forward. */
import type { Architecture } from "./architecture.js";
import {
  attentionModules,
  biasFields,
  denseMlpFields,
  denseMlpModules,
  headNormModules,
  outerModules,
  transformerFields,
  transformerIrrelevant,
} from "./transformerFields.js";

const { attention_bias } = biasFields;
const fields = { ...transformerFields, ...denseMlpFields, attention_bias: attention_bias! };

const olmo2: Architecture = {
  ...{ name: "olmo2", model: "Olmo2ForCausalLM", modelType: "olmo2", fields },
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...attentionModules, ...headNormModules, ...denseMlpModules },
    post_attention_layernorm: "post_attention_norm",
    post_feedforward_layernorm: "post_ffw_norm",
  },
};

const glm4: Architecture = {
  ...{ name: "glm4", model: "Glm4ForCausalLM", modelType: "glm4", fields },
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...attentionModules },
    input_layernorm: "attn_norm",
    post_self_attn_layernorm: "post_attention_norm",
    post_attention_layernorm: "ffn_norm",
    post_mlp_layernorm: "post_ffw_norm",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  },
};

export const postNormed: readonly Architecture[] = [olmo2, glm4];
