/**
 * Gemma 3: Gemma 2 without caps, with an RMSNorm of each query and key head, windows in all but every sixth layer, and two rotations: that
 * of layers with a window is never scaled.
 *
 * Config: Gemma3TextConfig of transformers, and Gemma3Config, which has it as its `text_config`: of such a checkpoint the part that reads
 * text runs. Paper: "Gemma 3 Technical Report" (arXiv 2503.19786), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { gemmaFields, gemmaIrrelevant, readGemmaConfig, readGemmaMlp } from "./gemmaConfig.js";
import type { ModelDefinition } from "./model.js";
import { readWindowedRope } from "./ropeConfig.js";
import { transformer } from "./transformer.js";
import { everyLayerBut, readWindows, requiredWindow } from "./windows.js";

export const gemma3Fields: FieldTable = {
  modelTypes: ["gemma3_text"],
  used: [...gemmaFields, "rope_local_base_freq", "sliding_window_pattern"],
  irrelevant: gemmaIrrelevant,
  refused: {},
};

/** What stands around the text's part; published configs leave out of that what its class says. */
export const gemma3ImageFields: FieldTable = {
  modelTypes: ["gemma3"],
  used: ["text_config"],
  irrelevant: [
    ...["vision_config", "mm_tokens_per_image", "boi_token_index", "eoi_token_index", "image_token_index"],
    ...["boi_token_id", "eoi_token_id", "image_token_id"],
  ],
  refused: {},
};

/** Gemma3TextConfig. */
const ofClass = {
  ...{ vocabSize: 262_208, hiddenSize: 2304, intermediateSize: 9216, numLayers: 26, numHeads: 8 },
  ...{ maxPositions: 131_072, ropeTheta: 1_000_000 },
};

export function gemma3(reader: ConfigReader): ModelDefinition {
  checkFields(reader, gemma3Fields);
  const config = readGemmaConfig(reader, { ...ofClass, ropeByLayerType: true });
  const { maxPositions } = ofClass;
  return transformer(
    {
      ...config,
      qkNorm: "eachHead",
      windows: readGemma3Windows(reader, config.numLayers),
      windowedRope: readWindowedRope(reader, config.headDim, {
        ...{ theta: 10_000, thetaField: "rope_local_base_freq", maxPositions },
      }),
      ignoredTensors: [/^(model\.)?(vision_tower|multi_modal_projector)\./],
    },
    readGemmaMlp(reader, ofClass),
  );
}

export function gemma3WithImages(reader: ConfigReader): ModelDefinition {
  checkFields(reader, gemma3ImageFields);
  return gemma3(reader.object("text_config"));
}

/** By `layer_types`, else in all but the last of each `sliding_window_pattern`; the window decides which rotation a layer has. */
function readGemma3Windows(reader: ConfigReader, numLayers: number): number[] {
  const pattern = reader.positiveInt("sliding_window_pattern", 6);
  return readWindows(reader, numLayers, requiredWindow(reader, 4096), everyLayerBut(pattern));
}
