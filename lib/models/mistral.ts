/**
 * Mistral, Llama with a sliding window, and Ministral, in which `layer_types` says which layers have it; either may say which.
 *
 * Config: MistralConfig, MinistralConfig of transformers. Paper: Jiang et al., "Mistral 7B" (arXiv 2310.06825), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { refuse } from "./foreignFields.js";
import type { ModelDefinition } from "./model.js";
import { readRope } from "./ropeConfig.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { denseMlpFields, readDenseMlp } from "./transformerMlp.js";
import { readWindows } from "./windows.js";

export const mistralFields: FieldTable = {
  modelTypes: ["mistral"],
  used: [...transformerFields, ...denseMlpFields, "sliding_window", "layer_types"],
  irrelevant: transformerIrrelevant,
  refused: refuse("a switch for its window: sliding_window null is off", [true], ["use_sliding_window"]),
};

export const ministralFields: FieldTable = { ...mistralFields, modelTypes: ["ministral"] };

/** MistralConfig and MinistralConfig. */
const ofClass = { normEps: 1e-6, ropeTheta: 10_000, numKvHeads: 8 };

export function mistral(reader: ConfigReader): ModelDefinition {
  checkFields(reader, mistralFields);
  const config = readTransformerConfig(reader, ofClass);
  return transformer({ ...config, windows: readOwnWindows(reader, config.numLayers) }, readDenseMlp(reader));
}

export function ministral(reader: ConfigReader): ModelDefinition {
  checkFields(reader, ministralFields);
  const config = readTransformerConfig(reader, { ...ofClass, ropeByLayerType: true });
  const windows = readOwnWindows(reader, config.numLayers);
  // Transformers 5 may have a rotation of each type of layers; where there is one, both have it.
  const windowedRope = readRope(reader, config.headDim, {
    ...{ theta: ofClass.ropeTheta, layerType: "sliding_attention" },
  });
  return transformer({ ...config, windows, windowedRope }, readDenseMlp(reader));
}

function readOwnWindows(reader: ConfigReader, numLayers: number): number[] {
  return readWindows(reader, numLayers, reader.nullablePositiveInt("sliding_window", 4096));
}
