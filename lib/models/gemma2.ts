/**
 * Gemma 2: norms in front of attention and feed-forward and behind both, whose weights are what is added to 1; windows in every second
 * layer; caps on scores and on logits; embeddings times the root of their width.
 *
 * Config: Gemma2Config of transformers. Paper: "Gemma 2: Improving Open Language Models at a Practical Size" (arXiv 2408.00118),
 * section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { gemmaFields, gemmaIrrelevant, readGemmaConfig, readGemmaMlp } from "./gemmaConfig.js";
import type { ModelDefinition } from "./model.js";
import { transformer } from "./transformer.js";
import { readWindows } from "./windows.js";

export const gemma2Fields: FieldTable = {
  modelTypes: ["gemma2"],
  used: gemmaFields,
  irrelevant: gemmaIrrelevant,
  refused: {},
};

export function gemma2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, gemma2Fields);
  const config = readGemmaConfig(reader, { ropeTheta: 10_000, scoreCap: 50, logitCap: 30 });
  const window = reader.nullablePositiveInt("sliding_window", 4096);
  const windows = readWindows(reader, config.numLayers, window, (layer) => layer % 2 === 0);
  return transformer({ ...config, windows }, readGemmaMlp(reader));
}
