/**
 * The contract between a model and whoever runs it (the engine, tests), and between a model family and the loader.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import type { FloatDType, KvDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import type { Decoder } from "../nn/decoder.js";
import type { RankSums } from "../nn/part.js";
import type { ModelState, StateSpec } from "../nn/state.js";
import type { StepInputs } from "../nn/step.js";
import type { ModelWeights, ModelWeightTable, WeightSummary } from "../weights/modelWeights.js";
import type { Shard } from "../weights/shard.js";

import type { Tap, TapPoint } from "../nn/tap.js";

export type { CopyTap, CountTap, Tap, TapPoint } from "../nn/tap.js";
export type { ModelState } from "../nn/state.js";
export type { StepInputs } from "../nn/step.js";

/** What the checkpoint says about the model: all of it, whatever a rank has (`RankShape`). */
export interface ArchitectureShape {
  readonly vocabSize: number;
  readonly numLayers: number;
  readonly hiddenSize: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** Width of a query or key head. */
  readonly headDim: number;
  /** Width of a value head. */
  readonly valueDim: number;
  /** Experts per layer; 0 for a dense model. */
  readonly numExperts: number;
  /** Experts that a token runs through; 0 for a dense model. */
  readonly expertsPerToken: number;
}

export interface ModelShape extends ArchitectureShape {
  /** As in config.json, such as "LlamaForCausalLM". */
  readonly architecture: string;
  /** Longest context that the model was loaded for, in tokens: positions are 0 to maxPositions - 1. */
  readonly maxPositions: number;
  /** Dtype of activations, and of KV pages unless `kvDtype` asked for another. */
  readonly dtype: FloatDType;
  /** Device memory of all weights. */
  readonly weightBytes: number;
  /** What is kept in which format, the largest first: bytes, and bits for each weight. */
  readonly weights: readonly WeightSummary[];
  /** SHA-256 of config, options of the load, and samples of the weights, in hexadecimal: sessions are of one model. */
  readonly fingerprint: string;
  /** False: the checkpoint has no output matrix, nor does its config tie one to the embeddings. Its logits mean nothing. */
  readonly hasHead: boolean;
}

/**
 * A loaded model. `forward` and `logits` only queue ops: they allocate from the stream's open scope, read no device data,
 * and can be captured into a graph.
 */
export interface Model {
  readonly shape: ModelShape;
  /** By layer: what it keeps between steps (`allocateState` makes room for it). */
  readonly state: readonly StateSpec[];
  /** What `forward` can be asked for besides its result. */
  readonly taps: readonly TapPoint[];
  /**
   * Runs the tokens of a step and stores what they leave behind in the state.
   *
   * @param taps where to copy what the model computes inside; part of a graph that captures the call
   * @returns hidden states after the last norm, [T, D] in `shape.dtype`
   * @throws ArgumentRangeError a tap that there is not, or a destination of another shape or dtype
   */
  forward(stream: Stream, inputs: StepInputs, state: ModelState, taps?: readonly Tap[]): Tensor;
  /**
   * @param hidden [N, D]: rows of what `forward` returned
   * @param out [N, V] f32, where to write; for graphs, whose results must outlive the step's temporaries
   * @returns [N, V] f32
   */
  logits(stream: Stream, hidden: Tensor, out?: Tensor): Tensor;
  /** Frees the weights once every stream has passed this point. Idempotent. */
  dispose(): void;
}

/** A model family applied to one config.json: what to load, and how to build the model from it. */
export interface ModelDefinition {
  readonly shape: ArchitectureShape;
  /** `max_position_embeddings`: the context that the checkpoint asks for, in tokens. */
  readonly trainedContext: number;
  /** The longest context that its positions can express, in tokens. */
  readonly longestContext: number;
  readonly weights: ModelWeightTable;
  /**
   * @param weights of the shard that the context names
   * @throws ArgumentRangeError if heads, experts or layers cannot be divided so
   */
  build(weights: ModelWeights, context: BuildContext): Decoder | Promise<Decoder>;
}

export interface BuildContext {
  /** Activation dtype. */
  readonly dtype: FloatDType;
  /** Of keys and values that are kept. Default: `dtype`. */
  readonly kvDtype?: KvDType | undefined;
  /** Positions 0 to contextLength - 1 will be run. */
  readonly contextLength: number;
  /** What the rank has that the model is built for. */
  readonly shard: Shard;
  /** How summands of the ranks become sums; needed for each axis along which there are several. */
  readonly sums?: RankSums | undefined;
  /** A device tensor [rows, columns] f32 that lives as long as the model. */
  constant(data: Float32Array, shape: readonly number[]): Promise<Tensor>;
}

/**
 * A model family.
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming the field
 */
export type ModelFamily = (config: ConfigReader) => ModelDefinition;
