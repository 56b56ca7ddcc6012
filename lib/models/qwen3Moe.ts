/**
 * Qwen3-MoE: Qwen3 with experts in place of the feed-forward part. The router's softmax runs over all experts; the weights
 * of the chosen ones are renormalised if the config says so. Some layers may stay dense.
 *
 * Config: Qwen3MoeConfig of transformers. Paper: "Qwen3 Technical Report" (arXiv 2505.09388), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readSilu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  readNoWindows,
  readWindows,
  transformer,
  transformerFields,
  transformerIrrelevant,
  type TransformerMlp,
} from "./transformer.js";
import { denseMlp, sparseMlp } from "./transformerMlp.js";

export const qwen3MoeFields: FieldTable = {
  modelTypes: ["qwen3_moe"],
  used: [
    ...[...transformerFields, "intermediate_size", "hidden_act", "attention_bias"],
    ...["use_sliding_window", "sliding_window", "max_window_layers", "layer_types"],
    ...["num_experts", "num_local_experts", "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob"],
    ...["decoder_sparse_step", "mlp_only_layers"],
  ],
  irrelevant: [...transformerIrrelevant, "output_router_logits", "router_aux_loss_coef"],
  refused: {},
};

export function qwen3Moe(reader: ConfigReader): ModelDefinition {
  checkFields(reader, qwen3MoeFields);
  const config = readTransformerConfig(reader, { normEps: 1e-6, ropeTheta: 10_000, numKvHeads: 4 });
  const attentionBias = reader.bool("attention_bias", false);
  return transformer(
    { ...config, qkNorm: true, attentionBias, windows: readMoeWindows(reader, config.numLayers) },
    readMlp(reader, config.hiddenSize, config.numLayers),
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

/** Every `decoder_sparse_step`-th layer has experts, except those of `mlp_only_layers`. */
function readMlp(reader: ConfigReader, hiddenSize: number, numLayers: number): TransformerMlp {
  readSilu(reader);
  const numExperts = boundedInt(reader, ["num_experts", "num_local_experts"], maxExperts);
  const expertsPerToken = boundedInt(reader, "num_experts_per_tok", numExperts);
  const step = reader.positiveInt("decoder_sparse_step", 1);
  const dense = new Set(reader.intList("mlp_only_layers", []));
  const isSparse = (layer: number) => !dense.has(layer) && (layer + 1) % step === 0;
  const layers = Array.from({ length: numLayers }, (_, layer) => layer);
  const denseLayers = layers.filter((layer) => !isSparse(layer));

  const mlp = `model.layers.{layer}.mlp`;
  const sparse = sparseMlp({
    hiddenSize,
    width: reader.positiveInt("moe_intermediate_size"),
    numExperts,
    expertsPerToken,
    renormalize: reader.bool("norm_topk_prob", false),
    names: {
      router: `${mlp}.gate.weight`,
      gate: `${mlp}.experts.{expert}.gate_proj.weight`,
      up: `${mlp}.experts.{expert}.up_proj.weight`,
      down: `${mlp}.experts.{expert}.down_proj.weight`,
    },
    onlyLayers: layers.filter(isSparse),
  });
  if (denseLayers.length === 0) return sparse;
  const width = reader.positiveInt("intermediate_size");
  const plain = denseMlp({ hiddenSize, width, activation: "silu", bias: false, onlyLayers: denseLayers });
  return {
    ...sparse,
    rows: [...sparse.rows, ...plain.rows],
    build: (weights, layer, rank) => (isSparse(layer) ? sparse : plain).build(weights, layer, rank),
  };
}
