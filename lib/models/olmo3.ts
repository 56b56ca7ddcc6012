/**
 * OLMo 3: OLMo 2 with windows in three layers of four. Scaling of the rotation (YaRN) is for the layers without a window.
 *
 * Config: Olmo3Config of transformers, of which some versions scale all layers; OLMo-core, with which it was trained, does as here.
 * Report: "Olmo 3" (arXiv 2512.13961), section 3.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import type { ModelDefinition } from "./model.js";
import { olmo2Fields, readOlmo2Config } from "./olmo2.js";
import { readWindowedRope } from "./ropeConfig.js";
import { transformer } from "./transformer.js";
import { readDenseMlp } from "./transformerMlp.js";
import { everyLayerBut, readWindows, requiredWindow } from "./windows.js";

export const olmo3Fields: FieldTable = {
  ...{ ...olmo2Fields, modelTypes: ["olmo3"] },
  used: [...olmo2Fields.used, "sliding_window", "layer_types"],
};

export function olmo3(reader: ConfigReader): ModelDefinition {
  checkFields(reader, olmo3Fields);
  const config = readOlmo2Config(reader, { ropeByLayerType: true });
  const window = requiredWindow(reader, 4096);
  return transformer(
    {
      ...config,
      windows: readWindows(reader, config.numLayers, window, everyLayerBut(4)),
      windowedRope: readWindowedRope(reader, config.headDim, { theta: config.rope.theta }),
    },
    readDenseMlp(reader),
  );
}
