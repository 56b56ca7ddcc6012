/** What a model would be on this machine, without its weights: how each part is kept, and the memory that takes. */
import { readOptions } from "../arguments.js";
import type { FloatDType, KvDType } from "../device/dtype.js";
import { longestContext } from "../models/limits.js";
import type { ArchitectureShape } from "../models/model.js";
import { planState } from "../models/planState.js";
import { checkKvDtype, kvDtypeOf } from "../nn/kvDtype.js";
import { type PartSummary, summarizeParts } from "../weights/partSummary.js";
import { cacheSizes, type CacheSize } from "./cacheSizes.js";
import { type LLMOptions, resolveOptions } from "./engineOptions.js";
import { fetchModel } from "./fetchModel.js";
import { openDevice } from "./openDevice.js";
import { planLoad } from "./planLoad.js";

/** Those of `LLM.load` that decide what becomes of weights, and what a token keeps. */
export type InspectOptions = Pick<LLMOptions, (typeof inspectOptionNames)[number]>;

export const inspectOptionNames = [
  "device",
  "dtype",
  "activations",
  "quantize",
  "kvDtype",
  "contextLength",
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
  readonly shape: ArchitectureShape;
  /** Tokens of context that it would be loaded for. */
  readonly maxPositions: number;
  /** That its checkpoint asks for, and the most that its positions express. */
  readonly trainedContext: number;
  readonly longestContext: number;
  readonly parameters: number;
  /** Of all weights in memory. */
  readonly weightBytes: number;
  readonly bitsPerWeight: number;
  readonly parts: readonly PartSummary[];
  /** Of keys and values. */
  readonly kvDtype: KvDType;
  /** What a sequence keeps, by its length: powers of two from 1024 on, and the whole context. */
  readonly cache: readonly CacheSize[];
}

/**
 * Reads what a checkpoint says of itself, down to the headers of its weights, and plans a load.
 *
 * @param pathOrId as in `LLM.load`; of a model of the hub that is not in the cache only configs and the headers of weights are fetched
 * @throws whatever `LLM.load` would, before weights are read
 */
export async function inspectModel(pathOrId: string, options: InspectOptions = {}): Promise<ModelInspection> {
  const resolved = resolveOptions(readOptions("inspectModel", options, inspectOptionNames));
  await using device = openDevice(resolved);
  const { path, description } = await fetchModel(pathOrId, resolved, true);
  const { source, architecture, contextLength, definition } = description;
  await using checkpoint = await source.openWeights();
  const { plan, forms, dtype, int8Activations } = await planLoad(description, checkpoint, {
    ...resolved,
    device,
  });
  const kvDtype = kvDtypeOf(resolved.kvDtype, dtype);
  const state = await planState(definition, { dtype, kvDtype, contextLength });
  checkKvDtype(resolved.kvDtype, state);
  const { weightFormats } = device;
  const parts = summarizeParts(plan, forms, { activations: dtype, weightFormats, int8Activations });
  const sum = (of: (part: PartSummary) => number) => parts.reduce((total, part) => total + of(part), 0);
  const [parameters, weightBytes] = [sum((part) => part.parameters), sum((part) => part.bytes)];
  return {
    ...{ path, architecture, device: device.name, dtype, shape: definition.shape },
    ...{ maxPositions: contextLength, trainedContext: definition.trainedContext },
    longestContext: longestContext(definition),
    ...{ parameters, weightBytes, bitsPerWeight: (8 * weightBytes) / parameters, parts, kvDtype },
    cache: cacheSizes(state, { contextLength, chunkTokens: resolved.maxStepTokens }),
  };
}
