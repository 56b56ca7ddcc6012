/** `olmo2`, which is OLMo 3 where it has windows, `exaone4` and `glm4`: with norms behind attention and feed-forward. */
import type { Architecture } from "./architecture.js";
import { ropeFreqs } from "./ropeScaling.js";
import {
  attentionModules,
  biasFields,
  denseMlpFields,
  denseMlpModules,
  headNormModules,
  numericPattern,
  outerModules,
  transformerFields,
  transformerIrrelevant,
  windowedLayers,
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

const olmo3: Architecture = {
  ...{ ...olmo2, model: "Olmo3ForCausalLM", modelType: "olmo3" },
  isMeant: ({ own }) => Number(own("attention.sliding_window") ?? 0) > 0,
  fields: { ...fields, sliding_window: { key: "attention.sliding_window" }, layer_types: windowedLayers },
};

const exaone4: Architecture = {
  ...{ ...olmo2, name: "exaone4", model: "Exaone4ForCausalLM", modelType: "exaone4" },
  fields: {
    ...{ ...transformerFields, ...denseMlpFields },
    sliding_window: {
      keys: ["attention.sliding_window"],
      of: ({ own }) => own("attention.sliding_window") || null, // the small model has none
    },
    sliding_window_pattern: numericPattern,
    layer_types: windowedLayers,
  },
  smallTensors: [ropeFreqs],
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

export const postNormed: readonly Architecture[] = [olmo3, olmo2, exaone4, glm4];
