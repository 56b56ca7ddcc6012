/**
 * SmolLM3: Llama in which some layers, every fourth where no list says which, do not rotate queries and keys (NoPE). With
 * `use_sliding_window` these layers have a window.
 *
 * Config: SmolLM3Config of transformers. Sources: "SmolLM3: smol, multilingual, long-context reasoner" (Hugging Face blog, 2025);
 * Yang et al., "Rope to Nope and Back Again" (arXiv 2501.18795), section 4.
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
import { readNoWindows, readWindows } from "./windows.js";

export const smollm3Fields: FieldTable = {
  modelTypes: ["smollm3"],
  used: [
    ...[...transformerFields, ...denseMlpFields, "attention_bias", "mlp_bias"],
    ...["no_rope_layers", "no_rope_layer_interval", "use_sliding_window", "sliding_window", "layer_types"],
  ],
  irrelevant: [...transformerIrrelevant, "pretraining_tp", "max_window_layers"],
  refused: {},
};

export function smollm3(reader: ConfigReader): ModelDefinition {
  checkFields(reader, smollm3Fields);
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1e-6, ropeTheta: 2_000_000, numKvHeads: 4, tiedHead: true },
  });
  const rotated = readRotated(reader, config.numLayers);
  return transformer(
    {
      ...{ ...config, rotated, windows: readNopeWindows(reader, rotated) },
      attentionBias: reader.bool("attention_bias", false) ? "all" : "none",
    },
    readDenseMlp(reader, { bias: reader.bool("mlp_bias", false) }),
  );
}

/** By `no_rope_layers`, where 1 means that a layer rotates, else all but the last of each `no_rope_layer_interval`. */
function readRotated(reader: ConfigReader, numLayers: number): boolean[] {
  if (!reader.has("no_rope_layers")) {
    const interval = reader.positiveInt("no_rope_layer_interval", 4);
    return Array.from({ length: numLayers }, (_, layer) => (layer + 1) % interval !== 0);
  }
  const list = reader.intList("no_rope_layers");
  if (list.length < numLayers || list.some((value) => value > 1))
    reader.fail("no_rope_layers", `0 or 1 for each of the ${numLayers} layers`);
  return list.slice(0, numLayers).map((value) => value === 1);
}

function readNopeWindows(reader: ConfigReader, rotated: readonly boolean[]): number[] {
  if (!reader.bool("use_sliding_window", false)) return readNoWindows(reader, rotated.length);
  const window = reader.optionalPositiveInt("sliding_window");
  return readWindows(reader, rotated.length, window, (layer) => !rotated[layer]);
}
