/**
 * Qwen3-MoE: Qwen3 with experts in place of the feed-forward part. The router's softmax runs over all experts; the weights
 * of the chosen ones are renormalised if the config says so. Some layers may stay dense.
 *
 * Config: Qwen3MoeConfig of transformers. Paper: "Qwen3 Technical Report" (arXiv 2505.09388), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import type { ModelDefinition } from "./model.js";
import { qwenMoeFields, readQwenExperts } from "./qwenMoe.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { qwenWindowFields, readNoWindows, readWindows } from "./windows.js";

export const qwen3MoeFields: FieldTable = {
  modelTypes: ["qwen3_moe"],
  used: [...[...transformerFields, "attention_bias"], ...qwenWindowFields, ...qwenMoeFields],
  irrelevant: [...transformerIrrelevant, "output_router_logits", "router_aux_loss_coef"],
  refused: {},
};

export function qwen3Moe(reader: ConfigReader): ModelDefinition {
  checkFields(reader, qwen3MoeFields);
  const config = readTransformerConfig(reader, { normEps: 1e-6, ropeTheta: 10_000, numKvHeads: 4 });
  const attentionBias = reader.bool("attention_bias", false) ? "all" : "none";
  return transformer(
    { ...config, qkNorm: "eachHead", attentionBias, windows: readMoeWindows(reader, config.numLayers) },
    readQwenExperts(reader, config),
  );
}

/** Releases of the reference differ in whether `max_window_layers` counts, so a config in which that matters is refused. */
function readMoeWindows(reader: ConfigReader, numLayers: number): number[] {
  if (!reader.bool("use_sliding_window", false)) return readNoWindows(reader, numLayers);
  const window = reader.nullablePositiveInt("sliding_window", 4096);
  const matters = window !== undefined && !reader.has("layer_types");
  if (matters && reader.nonNegativeInt("max_window_layers", 0) > 0) {
    reader.fail("max_window_layers", "0 or nothing beside use_sliding_window (say it with layer_types)");
  }
  return readWindows(reader, numLayers, window);
}
