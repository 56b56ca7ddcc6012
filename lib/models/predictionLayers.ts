/**
 * Layers behind the last one of a model, which predict further tokens (multi-token prediction): checkpoints carry them, and a plain
 * forward pass has no use for them.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { maxLayers } from "./limits.js";

/** What `predictionLayers` reads. */
export const predictionFields: readonly string[] = ["num_nextn_predict_layers"];

/** @returns the names of their tensors */
export function predictionLayers(reader: ConfigReader, numLayers: number): RegExp[] {
  const count = reader.nonNegativeInt("num_nextn_predict_layers", 0);
  if (count > maxLayers) reader.fail("num_nextn_predict_layers", `an integer from 0 to ${maxLayers}`);
  return Array.from({ length: count }, (_, i) => new RegExp(`(^|\\.)layers\\.${numLayers + i}\\.`));
}
