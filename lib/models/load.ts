/**
 * From a checkpoint folder to a model on a device.
 */
import type { FloatDType } from "../dtype.js";
import type { Decoder } from "../nn/decoder.js";
import type { Stream } from "../stream.js";
import type { Tensor } from "../tensor.js";
import { readConfig, type ModelConfigJson } from "../weights/config.js";
import { openCheckpoint } from "../weights/safetensors.js";
import { resolveWeights } from "../weights/weightMap.js";
import { activationDtype, type DTypeOption } from "./activationDtype.js";
import { chooseContextLength } from "./limits.js";
import { loadWeights, storedDtype, type LoadProgress } from "./loadWeights.js";
import type { Model, ModelDefinition } from "./model.js";
import type { ModelWeights } from "./modelWeights.js";
import { findFamily } from "./registry.js";

export type { DTypeOption } from "./activationDtype.js";
export type { LoadProgress } from "./loadWeights.js";

export interface LoadModelOptions {
  /** Loads, and names the device. Other streams of that device may run the model. */
  readonly stream: Stream;
  /** Dtype of activations and KV pages. Default "auto": see `activationDtype`. */
  readonly dtype?: DTypeOption | undefined;
  /** Longest context, in tokens. Default: `max_position_embeddings`, at most 32768. */
  readonly contextLength?: number | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Stops between tensors; the load rejects with `signal.reason`. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a checkpoint folder: config.json, and model.safetensors or its shards. Every name, dtype and shape is checked
 * before the first byte is copied; when anything fails, nothing stays allocated.
 *
 * @throws CheckpointError naming file and tensor or field; ERR_UNSUPPORTED_ARCHITECTURE
 * @throws ArgumentTypeError, ArgumentRangeError for a bad option; OutOfMemoryError; `signal.reason`
 */
export async function loadModel(folder: string, options: LoadModelOptions): Promise<Model> {
  const { stream, onProgress, signal } = options;
  signal?.throwIfAborted();
  const config = await readConfig(folder);
  const definition = findFamily(
    config.architecture,
    config.file,
    config.reader.json["model_type"],
  )(config.reader);
  const contextLength = chooseContextLength(definition, options.contextLength);

  await using checkpoint = await openCheckpoint(folder);
  const plan = resolveWeights(definition.weights, checkpoint);
  const forms = new Map(definition.weights.rows.map(({ slot, form }) => [slot, form]));
  const dtype = activationDtype(options.dtype ?? "auto", storedDtype(plan, forms), stream.device);
  const weights = await loadWeights(plan, forms, { stream, dtype, onProgress, signal });
  try {
    const constant = (data: Float32Array, shape: readonly number[]): Tensor => {
      const tensor = weights.own(stream.device.empty("f32", shape));
      tensor.write(stream, data);
      return tensor;
    };
    const built = definition.build(weights, { dtype, contextLength, constant });
    await stream.synchronize(); // another stream may run the model: everything must be there
    return makeModel(config, definition, built, { weights, dtype, contextLength });
  } catch (error) {
    weights.dispose();
    throw error;
  }
}

function makeModel(
  config: ModelConfigJson,
  definition: ModelDefinition,
  { forward, logits }: Decoder,
  loaded: { readonly weights: ModelWeights; readonly dtype: FloatDType; readonly contextLength: number },
): Model {
  const { weights, dtype, contextLength } = loaded;
  const shape = {
    ...definition.shape,
    architecture: config.architecture,
    maxPositions: contextLength,
    dtype,
    weightBytes: weights.bytes,
  };
  return { shape, forward, logits, dispose: () => weights.dispose() };
}
