/**
 * Qwen3-MoE: Qwen3 with experts in place of the feed-forward part. The router's softmax runs over all experts; the weights
 * of the chosen ones are renormalised if the config says so. Some layers may stay dense.
 *
 * Config: Qwen3MoeConfig of transformers. Paper: "Qwen3 Technical Report" (arXiv 2505.09388), section 2.
 */
import type { ConfigReader } from "../weights/configReader.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { ModelDefinition } from "./model.js";
import { readTransformerConfig, transformer, type TransformerMlp } from "./transformer.js";
import { denseMlp, sparseMlp } from "./transformerMlp.js";

export function qwen3Moe(reader: ConfigReader): ModelDefinition {
  const config = readTransformerConfig(reader);
  const window = reader.bool("use_sliding_window", false) ? reader.positiveInt("sliding_window", 4096) : 0;
  const attentionBias = reader.bool("attention_bias", false);
  return transformer(
    { ...config, qkNorm: true, attentionBias, windows: config.windows.map(() => window) },
    readMlp(reader, config.hiddenSize, config.numLayers),
  );
}

/** Every `decoder_sparse_step`-th layer has experts, except those of `mlp_only_layers`. */
function readMlp(reader: ConfigReader, hiddenSize: number, numLayers: number): TransformerMlp {
  reader.oneOf("hidden_act", ["silu"], "silu"); // the experts' gate is fused, and there is no other
  const numExperts = boundedInt(reader, "num_experts", maxExperts);
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
    build: (weights, layer) => (isSparse(layer) ? sparse : plain).build(weights, layer),
  };
}
