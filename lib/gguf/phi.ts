/** `phi3`: Phi-3, Phi-3.5 and Phi-4, whose q, k, v and whose gate and up are one tensor in checkpoints, too. */
import type { Architecture } from "./architecture.js";
import { longropeFactors, longropeScaling, ropeScalingKeys } from "./ropeScaling.js";
import {
  denseMlpFields,
  normModules,
  outerModules,
  transformerFields,
  transformerIrrelevant,
} from "./transformerFields.js";

export const phi3: Architecture = {
  ...{ name: "phi3", model: "Phi3ForCausalLM", modelType: "phi3" },
  fields: {
    ...{ ...transformerFields, ...denseMlpFields },
    rope_scaling: { keys: ropeScalingKeys, prefix: "rope.scaling", of: longropeScaling },
    sliding_window: {
      keys: ["attention.sliding_window"],
      of: ({ own }) => own("attention.sliding_window") || undefined, // 0 is none
    },
  },
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...normModules },
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
  },
  smallTensors: longropeFactors,
};
