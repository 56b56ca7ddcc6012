/**
 * StableLM 2 and StableLM 3B: Llama with layer norms and a quarter of each head rotated; in some, attention and feed-forward read one norm.
 *
 * Config: StableLmConfig of transformers. Report: Bellagente et al., "Stable LM 2 1.6B Technical Report" (arXiv 2402.17834), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFieldsWith,
  transformerIrrelevant,
} from "./transformer.js";
import { denseMlpFields, readDenseMlp } from "./transformerMlp.js";

export const stablelmFields: FieldTable = {
  modelTypes: ["stablelm"],
  used: [
    ...[...transformerFieldsWith("layer_norm_eps"), ...denseMlpFields],
    ...["use_qkv_bias", "use_parallel_residual"],
  ],
  irrelevant: transformerIrrelevant,
  refused: {}, // qk_layernorm, a layer norm with weights of each head, is refused for every family
};

export function stablelm(reader: ConfigReader): ModelDefinition {
  checkFields(reader, stablelmFields);
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1e-5, normEpsField: "layer_norm_eps", ropeTheta: 10_000, rotaryShare: 0.25 },
    numKvHeads: 32,
  });
  const parallel = reader.bool("use_parallel_residual", false);
  return transformer(
    {
      ...{ ...config, normKind: "layer", parallel },
      norms: parallel ? { attentionNorm: "input_layernorm" } : config.norms,
      attentionBias: reader.bool("use_qkv_bias", false) ? "qkv" : "none",
    },
    readDenseMlp(reader),
  );
}
