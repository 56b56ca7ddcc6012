/**
 * Phi-3, Phi-3.5, Phi-4 and Phi-4-mini: Llama with q, k and v in one tensor and gate and up in another; some have a sliding window, some
 * a rotation of a part of the head, and those of long contexts LongRoPE.
 *
 * Config: Phi3Config of transformers. Papers: "Phi-3 Technical Report" (arXiv 2404.14219); "Phi-4 Technical Report" (arXiv 2412.08905).
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readActivation } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { refuse } from "./foreignFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { denseMlp } from "./transformerMlp.js";

export const phi3Fields: FieldTable = {
  modelTypes: ["phi3"],
  used: [...transformerFields, "intermediate_size", "hidden_act", "sliding_window"],
  irrelevant: transformerIrrelevant,
  refused: refuse("layers of other kinds", [1], ["full_attn_mod", "interpolate_factor"]), // Phi-4-mini says 1
};

export function phi3(reader: ConfigReader): ModelDefinition {
  checkFields(reader, phi3Fields);
  const config = readTransformerConfig(reader, { normEps: 1e-5, ropeTheta: 10_000 });
  const window = reader.optionalPositiveInt("sliding_window") ?? 0;
  const mlp = denseMlp({
    hiddenSize: config.hiddenSize,
    width: reader.positiveInt("intermediate_size"),
    activation: readActivation(reader),
    bias: false,
    fused: true,
  });
  return transformer({ ...config, fusedQkv: true, windows: config.windows.map(() => window) }, mlp);
}
