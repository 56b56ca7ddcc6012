/**
 * What transformer.ts is told: everything in which Llama's relatives differ.
 */
import type { RopeConfig } from "./ropeConfig.js";

/** Everything except the feed-forward part. */
export interface TransformerConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** Need not be hiddenSize / numHeads. */
  readonly headDim: number;
  readonly normEps: number;
  readonly tiedHead: boolean;
  readonly rope: RopeConfig;
  /** Of layers with a window, where it is another one; its trained length is that of `rope`. */
  readonly windowedRope?: RopeConfig;
  /** Pairs that are rotated stand side by side in a head, (0, 1), (2, 3), not half of it apart. */
  readonly adjacentPairs: boolean;
  /** The checkpoint has q, k and v in one tensor, `qkv_proj`. */
  readonly fusedQkv: boolean;
  readonly attentionBias: AttentionBias;
  /** Each query head has one more score, without a value, which is a weight. */
  readonly sinks: boolean;
  /** RMSNorm on queries and keys before their rotation: over each head, or over all heads of a token together. */
  readonly qkNorm: "none" | "eachHead" | "allHeads";
  /** Queries, keys and values are clamped to that on both sides, behind norms over all heads. Not with norms of each. */
  readonly clip?: number | undefined;
  readonly norms: LayerNorms;
  /** RMSNorm, or layer norm with a bias or without; of the stream, not of heads. */
  readonly normKind: "rms" | "layer" | "layerWithoutBias";
  /** Attention and feed-forward read one norm, that in front of attention, and are added to the stream together. */
  readonly parallel: boolean;
  /** Norms multiply by 1 + w, where w is what a checkpoint has. */
  readonly normsAddOne: boolean;
  /** By layer: whether queries and keys are rotated; in one without, positions do not enter attention. */
  readonly rotated: readonly boolean[];
  /** By layer: keys that a query sees, itself included; 0 is all. */
  readonly windows: readonly number[];
  /** Tensors of a checkpoint that the model has no use for. */
  readonly ignoredTensors?: readonly RegExp[];
  readonly factors: Factors;
  readonly caps: Caps;
}

/** Numbers that something is multiplied by. */
export interface Factors {
  /** The residual stream that the tokens begin with. */
  readonly embedding: number;
  /** The products of queries and keys. */
  readonly scores: number;
  /** What each part adds to the residual stream. */
  readonly residual: number;
  /** The logits: the last norm, in front of the linear head, has it in its weights. */
  readonly logits: number;
}

/** What becomes cap * tanh(it / cap). */
export interface Caps {
  /** Scores of attention, behind their factor. */
  readonly scores?: number | undefined;
  readonly logits?: number | undefined;
}

/** Which projections of attention have biases: none, those of queries, keys and values, or the one of the output, too. */
export type AttentionBias = "none" | "qkv" | "all";

/** The norms that a layer has, by their names in a checkpoint: in front of its parts, and behind them. */
export type LayerNorms = Readonly<
  Partial<Record<"attentionNorm" | "attentionPostNorm" | "mlpNorm" | "mlpPostNorm", string>>
>;
