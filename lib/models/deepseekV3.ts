/**
 * DeepSeek V3 and R1, and what has their architecture: Kimi K2, Moonlight, Kanana-2. Latent attention, and behind the first layers experts
 * by sigmoid scores and a bias that chooses, from the groups whose two best sum highest, beside a shared one.
 *
 * Config: DeepseekV3Config of transformers. Papers: "DeepSeek-V3 Technical Report" (arXiv 2412.19437), "Kimi K2" (arXiv 2507.20534).
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import {
  deepseekAttentionFields,
  deepseekIrrelevant,
  type IndexerShape,
  readDeepseekAttention,
  readDeepseekConfig,
} from "./deepseekAttention.js";
import { deepseekExpertFields, deepseekV3Router, readDeepseekExperts } from "./deepseekExperts.js";
import { refuse } from "./foreignFields.js";
import type { ModelDefinition } from "./model.js";
import { predictionFields, predictionLayers } from "./predictionLayers.js";
import { transformer, transformerIrrelevant } from "./transformer.js";

export const deepseekV3Fields: FieldTable = {
  modelTypes: ["deepseek_v3", "kimi_k2"],
  used: [...deepseekAttentionFields, ...deepseekExpertFields, ...predictionFields, "rope_interleave"],
  irrelevant: [...transformerIrrelevant, ...deepseekIrrelevant],
  refused: {
    ...refuse("router scores of this kind", ["sigmoid"], ["scoring_func"]),
    ...refuse("another choice of experts", ["noaux_tc"], ["topk_method"]),
  },
};

export function deepseekV3(reader: ConfigReader): ModelDefinition {
  checkFields(reader, deepseekV3Fields);
  return deepseekV3Model(reader);
}

/** @param index of V3.2, whose attention is sparse */
export function deepseekV3Model(reader: ConfigReader, index?: IndexerShape): ModelDefinition {
  const config = readDeepseekConfig(reader, { normEps: 1e-6, ropeTheta: 10_000 });
  const experts = readDeepseekExperts(reader, config, {
    ...{ firstDense: 3, groups: 8, topGroups: 4, scale: 2.5, router: deepseekV3Router },
  });
  return transformer(
    { ...config, ignoredTensors: predictionLayers(reader, config.numLayers) },
    experts,
    readDeepseekAttention(reader, config, {
      ...{ adjacentPairs: reader.bool("rope_interleave", true), ...(index && { index }) },
    }),
  );
}
