/**
 * From a checkpoint, in a folder or a GGUF file, to a model on a device.
 */
import type { ModelConfigJson } from "../checkpoint/config.js";
import type { TensorFiles } from "../checkpoint/tensorFiles.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { inTurns, type Steps } from "../eventLoop.js";
import { chooseContextLength } from "../models/limits.js";
import type { Model, ModelDefinition, ModelShape } from "../models/model.js";
import { architectureOf, findFamily } from "../models/registry.js";
import type { Decoder } from "../nn/decoder.js";
import { checkKvDtype, kvDtypeOf, type KvDTypeOption } from "../nn/kvDtype.js";
import type { Quantization } from "../quantization/quantization.js";
import { loadWeights, type LoadProgress } from "../weights/loadWeights.js";
import type { ModelWeights } from "../weights/modelWeights.js";
import { wholeModel } from "../weights/shard.js";
import type { PlannedWeight } from "../weights/weightMap.js";
import { fingerprintOf } from "./fingerprint.js";
import { type ModelSource, openSource } from "./modelSource.js";
import { planLoad, type WeightOptions } from "./planLoad.js";

export type { DTypeOption } from "../weights/activationDtype.js";
export type { LoadProgress } from "../weights/loadWeights.js";

/** What a checkpoint says without its weights: everything that can be known before they are there. */
export interface ModelDescription {
  readonly source: ModelSource;
  readonly config: ModelConfigJson;
  readonly architecture: string;
  /** Its weights by the names that the source has for them. */
  readonly definition: ModelDefinition;
  /** How its config says that matrices are stored; undefined: as floats, or as tensors say themselves. */
  readonly quantization: Quantization | undefined;
  /** Positions that the model will be loaded for. */
  readonly contextLength: number;
}

/**
 * Reads the config of a checkpoint and finds out whether it runs here: architecture, quantisation, every field, and the
 * context length. Reads no weights; those of a folder need not be there.
 *
 * @param path of a folder or a GGUF file
 * @param asked `contextLength` of the load options
 * @param files where weights are; here, unless somebody says otherwise
 * @throws CheckpointError naming the file and the model type or the field; ERR_UNSUPPORTED_ARCHITECTURE
 * @throws ArgumentRangeError for a context that the positions of the model cannot express
 */
export async function describeModel(
  path: string,
  asked?: number,
  files?: TensorFiles,
): Promise<ModelDescription> {
  const source = await openSource(path, files);
  const { config } = source;
  const architecture = architectureOf(config);
  const family = findFamily(architecture, config.file, config.reader.json["model_type"]);
  const { weights, ...rest } = family(config.reader);
  const quantization = await source.quantization();
  const definition = { ...rest, weights: source.weightsOf(weights, rest.shape.headDim) };
  const contextLength = chooseContextLength(definition, asked);
  return { source, config, architecture, definition, quantization, contextLength };
}

export interface LoadModelOptions extends WeightOptions {
  /** Loads, and names the device. Other streams of that device may run the model. */
  readonly stream: Stream;
  /** Of the keys and values that are kept. Default "auto": that of activations. */
  readonly kvDtype?: KvDTypeOption | undefined;
  /** Longest context, in tokens. Default: `max_position_embeddings`, at most 32768. */
  readonly contextLength?: number | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  /** Of this path and context length, where the caller has it already. */
  readonly description?: ModelDescription | undefined;
}

/**
 * Loads a checkpoint: a folder with config.json, and model.safetensors or its shards, or a GGUF file. Every name, dtype and shape is checked
 * before the first byte is copied; when anything fails, nothing stays allocated.
 *
 * @throws CheckpointError naming file and tensor or field; ERR_UNSUPPORTED_ARCHITECTURE
 * @throws ArgumentTypeError, ArgumentRangeError for a bad option; OutOfMemoryError; `signal.reason`
 */
export async function loadModel(path: string, options: LoadModelOptions): Promise<Model> {
  const { stream, onProgress, signal } = options;
  signal?.throwIfAborted();
  const description = options.description ?? (await describeModel(path, options.contextLength));
  const { source, definition, contextLength } = description;

  await using checkpoint = await source.openWeights();
  const { device } = stream;
  const { plan, forms, dtype, int8Activations } = await planLoad(description, checkpoint, {
    ...options,
    device,
  });
  const kvDtype = kvDtypeOf(options.kvDtype ?? "auto", dtype);
  const { quantize } = options;
  const settings = { dtype, int8Activations, kvDtype, quantize };
  const fingerprint = await fingerprintOf(checkpoint, description, settings);
  const weights = await loadWeights(plan, forms, {
    ...{ checkpoint, stream, dtype, int8Activations, onProgress, signal },
  });
  try {
    const constant = async (data: Float32Array, shape: readonly number[]): Promise<Tensor> => {
      const tensor = weights.own(stream.device.empty("f32", shape));
      await inTurns(writeRows(stream, tensor, data));
      return tensor;
    };
    const shard = wholeModel;
    const built = await definition.build(weights, { dtype, kvDtype, contextLength, shard, constant });
    checkKvDtype(options.kvDtype ?? "auto", built.state);
    await stream.synchronize(); // another stream may run the model: everything must be there
    return makeModel(description, built, {
      ...{ weights, dtype, fingerprint, hasHead: hasHead(definition, plan) },
    });
  } catch (error) {
    weights.dispose();
    throw error;
  }
}

/** Elements that are copied between two yields: about 0.3 ms. */
const elementsPerStep = 2 ** 17;

/** Writes a tensor [rows, ...] in steps: a long context makes a table of 16 MB and more. */
function* writeRows(stream: Stream, tensor: Tensor, data: Float32Array): Steps<void> {
  const numRows = tensor.size(0);
  const rowLength = data.length / numRows;
  const rowsPerStep = Math.max(1, Math.floor(elementsPerStep / rowLength));
  for (let row = 0; row < numRows; row += rowsPerStep) {
    const end = Math.min(row + rowsPerStep, numRows);
    tensor.slice(0, row, end).write(stream, data.subarray(row * rowLength, end * rowLength));
    yield;
  }
}

/** Whether no weight stands in for one that the checkpoint lacks: only a head may be missing. */
function hasHead({ weights: { rows } }: ModelDefinition, plan: readonly PlannedWeight[]): boolean {
  const mayLack = new Set(rows.filter(({ tiedTo }) => tiedTo?.when === "missing").map(({ slot }) => slot));
  return !plan.some(({ slot, tiedTo }) => tiedTo !== undefined && mayLack.has(slot));
}

function makeModel(
  { architecture, definition, contextLength }: ModelDescription,
  { state, taps, forward, logits }: Decoder,
  {
    weights,
    ...loaded
  }: { readonly weights: ModelWeights } & Pick<ModelShape, "dtype" | "hasHead" | "fingerprint">,
): Model {
  const shape = {
    ...definition.shape,
    architecture,
    maxPositions: contextLength,
    ...loaded,
    weightBytes: weights.bytes,
    weights: weights.summarize(),
  };
  return { shape, state, taps, forward, logits, dispose: () => weights.dispose() };
}
