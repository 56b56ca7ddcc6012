/**
 * GLM-4.5 and 4.6: Llama with experts as DeepSeek V3 has them, a rotation of a part of each head (in halves of that part), biases on
 * queries, keys and values, and, in some of the models, an RMSNorm on every query and key head before its rotation.
 *
 * Config: Glm4MoeConfig of transformers. Paper: "GLM-4.5: Agentic, Reasoning, and Coding Foundation Models" (arXiv 2508.06471),
 * section 2.1.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { deepseekExpertFields, deepseekV3Router, readDeepseekExperts } from "./deepseekExperts.js";
import type { ModelDefinition } from "./model.js";
import { predictionFields, predictionLayers } from "./predictionLayers.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";

export const glm4MoeFields: FieldTable = {
  modelTypes: ["glm4_moe"],
  used: [
    ...[...transformerFields, ...deepseekExpertFields, ...predictionFields],
    ...["attention_bias", "use_qk_norm"],
  ],
  irrelevant: [...transformerIrrelevant, "output_router_logits", "router_aux_loss_coef"],
  refused: {},
};

export function glm4Moe(reader: ConfigReader): ModelDefinition {
  checkFields(reader, glm4MoeFields);
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1e-5, ropeTheta: 10_000, numKvHeads: 8, rotaryShare: 0.5 },
  });
  return transformer(
    {
      ...config,
      attentionBias: reader.bool("attention_bias", false) ? "qkv" : "none",
      qkNorm: reader.bool("use_qk_norm", false) ? "eachHead" : "none",
      ignoredTensors: predictionLayers(reader, config.numLayers),
    },
    readDeepseekExperts(reader, config, {
      ...{ firstDense: 1, groups: 1, topGroups: 1, scale: 1, router: deepseekV3Router },
    }),
  );
}
