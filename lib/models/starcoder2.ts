/**
 * Starcoder2: rotary positions and grouped-query attention, all layers with a window, but layer norms, biases and an MLP without gate.
 *
 * Config: Starcoder2Config of transformers. Paper: "StarCoder 2 and The Stack v2" (arXiv 2402.19173), section 6.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readGelu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { refuse } from "./foreignFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFieldsWith,
  transformerIrrelevant,
} from "./transformer.js";
import { plainMlp } from "./transformerMlp.js";

export const starcoder2Fields: FieldTable = {
  modelTypes: ["starcoder2"],
  used: [
    ...[...transformerFieldsWith("norm_epsilon"), "intermediate_size", "hidden_act"],
    ...["use_bias", "sliding_window"],
  ],
  irrelevant: [...transformerIrrelevant, "embedding_dropout"],
  refused: {
    ...refuse("another kind of norm", ["layer_norm"], ["norm_type"]),
    ...refuse("another kind of MLP", ["default"], ["mlp_type"]),
  },
};

export function starcoder2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, starcoder2Fields);
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1e-5, normEpsField: "norm_epsilon", ropeTheta: 10_000, numKvHeads: 2, tiedHead: true },
  });
  const bias = reader.bool("use_bias", true);
  const window = reader.optionalPositiveInt("sliding_window") ?? 0;
  return transformer(
    {
      ...{ ...config, normKind: "layer", attentionBias: bias ? "all" : "none" },
      windows: config.windows.map(() => window),
    },
    plainMlp({
      hiddenSize: config.hiddenSize,
      width: reader.positiveInt("intermediate_size"),
      gelu: readGelu(reader, "hidden_act", "gelu_pytorch_tanh"),
      bias,
    }),
  );
}
