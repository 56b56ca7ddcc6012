/**
 * EXAONE 4: Llama with norms behind attention and feed-forward instead of in front, and an RMSNorm of each query and key head. Where
 * there is a window, three layers of four have it, and the others do not rotate.
 *
 * Config: Exaone4Config of transformers. Report: "EXAONE 4.0" (arXiv 2507.11407), section 2.1.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { denseMlpFields, readDenseMlp } from "./transformerMlp.js";
import { everyLayerBut, readWindows } from "./windows.js";

export const exaone4Fields: FieldTable = {
  modelTypes: ["exaone4"],
  used: [
    ...[...transformerFields, ...denseMlpFields],
    ...["sliding_window", "sliding_window_pattern", "layer_types"],
  ],
  irrelevant: transformerIrrelevant,
  refused: {},
};

export function exaone4(reader: ConfigReader): ModelDefinition {
  checkFields(reader, exaone4Fields);
  const config = readTransformerConfig(reader, { normEps: 1e-5, ropeTheta: 10_000, numKvHeads: 32 });
  const window = reader.nullablePositiveInt("sliding_window", 4096);
  const windows = readWindows(reader, config.numLayers, window, everyLayerBut(readPattern(reader)));
  return transformer(
    {
      ...{ ...config, windows, qkNorm: "eachHead" },
      rotated: windows.map((size) => window === undefined || size > 0),
      norms: { attentionPostNorm: "post_attention_layernorm", mlpPostNorm: "post_feedforward_layernorm" },
    },
    readDenseMlp(reader),
  );
}

/** Published configs have it as "LLLG" beside `layer_types`, which then say it. */
function readPattern(reader: ConfigReader): number {
  const isSaid = reader.has("layer_types") || !reader.has("sliding_window_pattern");
  return isSaid ? 4 : reader.positiveInt("sliding_window_pattern");
}
