/** What a model would be on this machine, without its weights: how each part is kept, and the memory that takes. */
import { readOptions } from "../arguments.js";
import type { FloatDType } from "../device/dtype.js";
import { type PartSummary, summarizeParts } from "../weights/partSummary.js";
import { type LLMOptions, resolveOptions } from "./engineOptions.js";
import { fetchModel } from "./fetchModel.js";
import { openDevice } from "./openDevice.js";
import { planLoad } from "./planLoad.js";

/** Those of `LLM.load` that decide what becomes of weights. */
export type InspectOptions = Pick<LLMOptions, (typeof inspectOptionNames)[number]>;

export const inspectOptionNames = [
  "device",
  "dtype",
  "activations",
  "quantize",
  "revision",
  "onProgress",
  "signal",
] as const;

/** What a load with the same options would give. */
export interface ModelInspection {
  /** Of the folder or file. */
  readonly path: string;
  readonly architecture: string;
  readonly device: string;
  /** Of activations. */
  readonly dtype: FloatDType;
  readonly maxPositions: number;
  readonly parameters: number;
  /** Of all weights in memory. */
  readonly weightBytes: number;
  readonly bitsPerWeight: number;
  readonly parts: readonly PartSummary[];
}

/**
 * Reads what a checkpoint says of itself, down to the headers of its weights, and plans a load.
 *
 * @param pathOrId as in `LLM.load`; a model of the hub is fetched
 * @throws whatever `LLM.load` would, before weights are read
 */
export async function inspectModel(pathOrId: string, options: InspectOptions = {}): Promise<ModelInspection> {
  const resolved = resolveOptions(readOptions("inspectModel", options, inspectOptionNames));
  await using device = openDevice(resolved);
  const { path, description } = await fetchModel(pathOrId, resolved);
  const { source, architecture, contextLength } = description;
  await using checkpoint = await source.openWeights();
  const { plan, forms, dtype, int8Activations } = await planLoad(description, checkpoint, {
    ...resolved,
    device,
  });
  const { weightFormats } = device;
  const parts = summarizeParts(plan, forms, { activations: dtype, weightFormats, int8Activations });
  const sum = (of: (part: PartSummary) => number) => parts.reduce((total, part) => total + of(part), 0);
  const [parameters, weightBytes] = [sum((part) => part.parameters), sum((part) => part.bytes)];
  return {
    ...{ path, architecture, device: device.name, dtype, maxPositions: contextLength },
    ...{ parameters, weightBytes, bitsPerWeight: (8 * weightBytes) / parameters, parts },
  };
}
