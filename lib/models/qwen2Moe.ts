/**
 * Qwen1.5-MoE and Qwen2-MoE: Qwen2 with experts in place of the feed-forward part, beside one that all tokens share and that counts as
 * much as the sigmoid of a gate says. Some layers may stay dense.
 *
 * Config: Qwen2MoeConfig of transformers. Paper: "Qwen2 Technical Report" (arXiv 2407.10671), section 2.2.2.
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
import { projections } from "./transformerMoe.js";
import { readNoWindows, readWindows } from "./windows.js";

export const qwen2MoeFields: FieldTable = {
  modelTypes: ["qwen2_moe"],
  used: [
    ...[...transformerFields, "qkv_bias", "use_sliding_window", "sliding_window", "layer_types"],
    ...[...qwenMoeFields, "shared_expert_intermediate_size"],
  ],
  irrelevant: [
    ...[...transformerIrrelevant, "output_router_logits", "router_aux_loss_coef"],
    "max_window_layers", // of windows that only `layer_types` may say
  ],
  refused: {},
};

export function qwen2Moe(reader: ConfigReader): ModelDefinition {
  checkFields(reader, qwen2MoeFields);
  const config = readTransformerConfig(reader, { normEps: 1e-6, ropeTheta: 10_000, numKvHeads: 16 });
  const windows = readMoeWindows(reader, config.numLayers);
  const attentionBias = reader.bool("qkv_bias", true) ? "qkv" : "none";
  const mlp = "model.layers.{layer}.mlp";
  const shared = {
    width: reader.positiveInt("shared_expert_intermediate_size", 5632),
    names: projections(`${mlp}.shared_expert`),
    gate: `${mlp}.shared_expert_gate.weight`,
  };
  return transformer({ ...config, attentionBias, windows }, readQwenExperts(reader, config, shared));
}

/** Releases of the reference differ in which layers have a window, so a config that does not name them is refused. */
function readMoeWindows(reader: ConfigReader, numLayers: number): number[] {
  if (!reader.bool("use_sliding_window", false)) return readNoWindows(reader, numLayers);
  const window = reader.nullablePositiveInt("sliding_window", 4096);
  if (window !== undefined && !reader.has("layer_types"))
    reader.fail("use_sliding_window", "false or nothing without layer_types");
  return readWindows(reader, numLayers, window);
}
