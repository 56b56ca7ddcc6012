/**
 * DeepSeek V2, V2-Lite, V2.5 and Coder V2: Llama with latent attention, and with experts behind the first layers, which are chosen by
 * softmax scores, in the larger models from the groups with the best of them, beside shared ones.
 *
 * Config: DeepseekV2Config of transformers and of the published code. Paper: "DeepSeek-V2" (arXiv 2405.04434).
 *
 * With yarn the factor of scores has the square of its magnitude, as in the published code; older transformers leave it out.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import {
  deepseekAttentionFields,
  deepseekIrrelevant,
  readDeepseekAttention,
  readDeepseekConfig,
} from "./deepseekAttention.js";
import { deepseekExpertFields, readDeepseekExperts } from "./deepseekExperts.js";
import type { ModelDefinition } from "./model.js";
import { transformer, transformerIrrelevant } from "./transformer.js";

export const deepseekV2Fields: FieldTable = {
  modelTypes: ["deepseek_v2"],
  used: [...deepseekAttentionFields, ...deepseekExpertFields, "topk_method"],
  irrelevant: [...transformerIrrelevant, ...deepseekIrrelevant],
  refused: {},
};

export function deepseekV2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, deepseekV2Fields);
  const config = readDeepseekConfig(reader, { normEps: 1e-6, ropeTheta: 10_000 });
  const method = reader.oneOf("topk_method", ["greedy", "group_limited_greedy"], "greedy");
  const experts = readDeepseekExperts(reader, config, {
    ...{ firstDense: 0, shared: 2, scale: 1, renormalize: false },
    router: { scores: "softmax", groupBest: 1, hasGroups: method === "group_limited_greedy" },
  });
  // The published code leaves the factor out then, others multiply by it.
  if (reader.bool("norm_topk_prob", false) && reader.number("routed_scaling_factor", 1) !== 1)
    reader.fail("routed_scaling_factor", "1 with norm_topk_prob");
  return transformer(config, experts, readDeepseekAttention(reader, config, { adjacentPairs: true }));
}
