/**
 * Llama and Mistral: RMSNorm, rotary positions (with Llama 3's scaling), grouped-query attention, SwiGLU.
 * Mistral is Llama with a sliding window.
 *
 * Config: LlamaConfig, MistralConfig of transformers. Papers: Touvron et al., "Llama 2" (arXiv 2307.09288); "The Llama 3
 * Herd of Models" (arXiv 2407.21783); Jiang et al., "Mistral 7B" (arXiv 2310.06825).
 */
import type { ConfigReader } from "../weights/configReader.js";
import type { ModelDefinition } from "./model.js";
import { readTransformerConfig, transformer } from "./transformer.js";
import { denseMlp, readActivation } from "./transformerMlp.js";

export function llama(reader: ConfigReader): ModelDefinition {
  const config = readTransformerConfig(reader);
  const attentionBias = reader.bool("attention_bias", false);
  return transformer({ ...config, attentionBias }, llamaMlp(reader, reader.bool("mlp_bias", false)));
}

export function mistral(reader: ConfigReader): ModelDefinition {
  const config = readTransformerConfig(reader);
  const window = reader.optionalPositiveInt("sliding_window") ?? 0;
  return transformer({ ...config, windows: config.windows.map(() => window) }, llamaMlp(reader, false));
}

function llamaMlp(reader: ConfigReader, bias: boolean) {
  return denseMlp({
    hiddenSize: reader.positiveInt("hidden_size"),
    width: reader.positiveInt("intermediate_size"),
    activation: readActivation(reader),
    bias,
  });
}
