/**
 * Qwen3, dense: Llama with an RMSNorm on every query and key head before its rotation.
 *
 * Config: Qwen3Config of transformers. Paper: "Qwen3 Technical Report" (arXiv 2505.09388), section 2.
 */
import type { ConfigReader } from "../weights/configReader.js";
import type { ModelDefinition } from "./model.js";
import { readTransformerConfig, transformer } from "./transformer.js";
import { denseMlp, readActivation } from "./transformerMlp.js";

export function qwen3(reader: ConfigReader): ModelDefinition {
  const config = readTransformerConfig(reader);
  const mlp = denseMlp({
    hiddenSize: config.hiddenSize,
    width: reader.positiveInt("intermediate_size"),
    activation: readActivation(reader),
    bias: false,
  });
  const attentionBias = reader.bool("attention_bias", false);
  return transformer(
    { ...config, qkNorm: true, attentionBias, windows: readWindows(reader, config.windows) },
    mlp,
  );
}

/** With `use_sliding_window` the layers from `max_window_layers` on have a window. */
function readWindows(reader: ConfigReader, none: readonly number[]): readonly number[] {
  if (!reader.bool("use_sliding_window", false)) return none;
  const window = reader.positiveInt("sliding_window", 4096);
  const firstLayer = reader.nonNegativeInt("max_window_layers", 28);
  return none.map((_, layer) => (layer >= firstLayer ? window : 0));
}
