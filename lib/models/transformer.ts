/**
 * What Llama and its descendants have in common: RMSNorm around attention and feed-forward, rotary positions, grouped-query attention.
 * A family file reads its own fields and passes the differences as arguments; nothing here knows a family.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import type { FloatDType } from "../device/dtype.js";
import type { Tensor } from "../device/tensor.js";
import { inTurns } from "../eventLoop.js";
import { decoder, type Decoder, type Layer } from "../nn/decoder.js";
import { layerNormBlock, noNorm, type NormBlock, rmsNormBlock } from "../nn/norm.js";
import type { Block, Part } from "../nn/part.js";
import { type RopeScaling, type RopeTableOptions, ropeTableSteps } from "../nn/ropeTable.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import { boundedInt, checkHeadDim, longestRopeContext, maxLayers } from "./limits.js";
import type { BuildContext, ModelDefinition } from "./model.js";
import { type RankShape, rankShape } from "./rankShape.js";
import { readRope, type RopeConfig, ropeFields } from "./ropeConfig.js";
import type { TransformerConfig } from "./transformerConfig.js";
import { groupedQueryAttention, type TransformerAttention } from "./transformerAttention.js";
import { layerNormRows, outerRows, prefixAlternatives } from "./transformerRows.js";

/** The feed-forward part of every layer. */
export interface TransformerMlp {
  /** E and K; 0 without experts */
  readonly numExperts: number;
  readonly expertsPerToken: number;
  readonly rows: readonly ModelWeightRow[];
  /** @param layer of the whole model @param rank what is computed here */
  build(weights: ModelWeights, layer: number, rank: RankShape): Block;
}

/** What the class of a config has where config.json has nothing. */
export interface TransformerDefaults {
  readonly normEps: number;
  /** Its field. Undefined: `rms_norm_eps`. */
  readonly normEpsField?: string;
  readonly ropeTheta: number;
  /** `partial_rotary_factor`. Undefined: 1. */
  readonly rotaryShare?: number;
  /** Undefined: hiddenSize / numHeads. */
  readonly headDim?: number;
  /** The width of a head, which no field says: `head_dim` is not read. */
  readonly fixedHeadDim?: number;
  /** Undefined: numHeads, which `null` always means. */
  readonly numKvHeads?: number;
  /** Default: false. */
  readonly tiedHead?: boolean;
  /** Undefined, of these: the field has to be there. */
  readonly vocabSize?: number;
  readonly hiddenSize?: number;
  readonly numLayers?: number;
  readonly numHeads?: number;
  readonly maxPositions?: number;
  /** Of the rotation, where config.json has neither `rope_scaling` nor `rope_parameters`. Default: as it is. */
  readonly ropeScaling?: RopeScaling;
  /** Of the rotation: layers with a window may have one of their own, which the family reads. Default: false. */
  readonly ropeByLayerType?: boolean;
}

/** What `readTransformerConfig` reads, for the table of a family. */
export const transformerFields = transformerFieldsWith("rms_norm_eps");

/** The same of one with another `normEpsField`. */
export function transformerFieldsWith(normEpsField: string): readonly string[] {
  return [
    ...["vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads"],
    ...["head_dim", normEpsField, "tie_word_embeddings", ...ropeFields],
  ];
}

/** What changes no logits in any of them. */
export const transformerIrrelevant: readonly string[] = [
  ...["attention_dropout", "hidden_dropout", "embd_pdrop", "resid_pdrop", "residual_dropout", "mlp_dropout"],
  ...["attention_probs_dropout_prob", "hidden_dropout_prob"],
];

/** Reads the fields that all families spell alike. Norms in front of the parts, none on heads; no biases, no windows; all layers rotate. */
export function readTransformerConfig(
  reader: ConfigReader,
  defaults: TransformerDefaults = { normEps: 1e-6, ropeTheta: 10_000 },
): TransformerConfig {
  const hiddenSize = reader.positiveInt("hidden_size", defaults.hiddenSize);
  const numLayers = boundedInt(reader, "num_hidden_layers", maxLayers, defaults.numLayers);
  const numHeads = reader.positiveInt("num_attention_heads", defaults.numHeads);
  const numKvHeads = reader.nullablePositiveInt("num_key_value_heads", defaults.numKvHeads) ?? numHeads;
  if (numHeads % numKvHeads !== 0) {
    reader.fail("num_key_value_heads", `a divisor of num_attention_heads (${numHeads})`);
  }
  const headDim = defaults.fixedHeadDim ?? readHeadDim(reader, hiddenSize / numHeads, defaults.headDim);
  return {
    vocabSize: reader.positiveInt("vocab_size", defaults.vocabSize),
    hiddenSize,
    numLayers,
    numHeads,
    numKvHeads,
    headDim,
    normEps: reader.positiveNumber(defaults.normEpsField ?? "rms_norm_eps", defaults.normEps),
    tiedHead: reader.bool("tie_word_embeddings", defaults.tiedHead ?? false),
    rope: readRope(reader, headDim, {
      ...{ theta: defaults.ropeTheta, share: defaults.rotaryShare, maxPositions: defaults.maxPositions },
      ...{
        layerType: defaults.ropeByLayerType ? "full_attention" : undefined,
        scaling: defaults.ropeScaling,
      },
    }),
    adjacentPairs: false,
    fusedQkv: false,
    attentionBias: "none",
    sinks: false,
    qkNorm: "none",
    norms: { attentionNorm: "input_layernorm", mlpNorm: "post_attention_layernorm" },
    normKind: "rms",
    normsAddOne: false,
    parallel: false,
    rotated: new Array<boolean>(numLayers).fill(true),
    windows: new Array<number>(numLayers).fill(0),
    factors: { embedding: 1, scores: headDim ** -0.5, residual: 1, logits: 1 },
    caps: {},
  };
}

function readHeadDim(reader: ConfigReader, share: number, absent: number | undefined): number {
  const headDim = reader.nullablePositiveInt("head_dim", absent);
  if (headDim !== undefined) return checkHeadDim(reader, "head_dim", headDim);
  return checkHeadDim(reader, "num_attention_heads", share, "hidden_size / num_attention_heads");
}

/** The model of a config and its parts. */
export function transformer(
  config: TransformerConfig,
  mlp: TransformerMlp,
  attention = groupedQueryAttention(config),
): ModelDefinition {
  const { vocabSize, hiddenSize, numLayers, numHeads, rope, ignoredTensors: ignored } = config;
  const { numKvHeads, headDim, valueDim } = attention;
  const { numExperts, expertsPerToken } = mlp;
  const shape = {
    ...{ vocabSize, numLayers, hiddenSize, numHeads, numKvHeads, headDim, valueDim },
    ...{ numExperts, expertsPerToken },
  };
  return {
    shape,
    trainedContext: rope.maxPositionEmbeddings,
    longestContext: longestRopeContext(rope),
    weights: {
      rows: [...outerRows(config), ...layerNormRows(config), ...attention.rows, ...mlp.rows],
      ...{ numLayers, numExperts, prefixAlternatives, ...(ignored && { ignored }) },
    },
    build: (weights, context) =>
      build(config, { mlp, attention }, weights, { ...context, rank: rankShape(shape, context) }),
  };
}

/** What the layers of a transformer are made of. */
interface LayerParts {
  readonly mlp: TransformerMlp;
  readonly attention: TransformerAttention;
}

async function build(
  config: TransformerConfig,
  { mlp, attention }: LayerParts,
  weights: ModelWeights,
  { dtype, kvDtype, contextLength, constant, rank }: BuildContext & { readonly rank: RankShape },
): Promise<Decoder> {
  const { hiddenSize: width, headDim, rope, factors, caps } = config;
  const { sums } = rank;
  const { start: firstLayer, count } = rank.layers;
  // Pairs side by side are put apart when they are loaded, all of a head: those that are not rotated turn by nothing.
  const pairs = config.adjacentPairs ? headDim / 2 : undefined;
  const anglesOf = (of: RopeConfig) => anglesConstant({ ...of, pairs, maxLength: contextLength }, constant);
  const ropeAngles = await anglesOf(rope);
  const windowedAngles = config.windowedRope ? await anglesOf(config.windowedRope) : ropeAngles;
  const norm = (slot: string, layer?: number, to = dtype) => normBlock(config, weights, to, slot, layer);
  const queries = config.numHeads * headDim;
  const zeros =
    config.qkNorm === "allHeads" && sums?.tp
      ? await constant(new Float32Array(queries), [1, queries])
      : undefined;

  const layers = config.windows.slice(firstLayer, firstLayer + count).map((size, index): Layer => {
    const layer = firstLayer + index;
    const window = size < contextLength ? size : 0; // one that hides nothing is none, and may be no i32
    const angles = size > 0 ? windowedAngles : ropeAngles;
    const blocks = {
      attention: attention.build(weights, layer, { rank, dtype, kvDtype, window, angles, zeros }),
      mlp: mlp.build(weights, layer, rank),
    };
    return partsOf(config, blocks, dtype, (slot, to) => norm(slot, layer, to));
  });
  return decoder({
    ...{ width, layers, firstLayer, sums },
    input: rank.isFirst
      ? { embedding: weights.embedding("embedding"), factor: factors.embedding }
      : undefined,
    output: rank.isLast
      ? { finalNorm: norm("finalNorm"), head: weights.linear("head"), cap: caps.logits }
      : undefined,
  });
}

function normBlock(
  { normKind, normEps: eps }: TransformerConfig,
  weights: ModelWeights,
  dtype: FloatDType,
  slot: string,
  layer?: number,
): NormBlock {
  const weight = weights.vector(slot, layer);
  if (normKind === "rms") return rmsNormBlock({ eps, dtype }, { weight });
  return layerNormBlock({ eps, dtype }, { weight, bias: weights.optionalVector(`${slot}Bias`, layer) });
}

/** Attention and feed-forward with the norms of their layer: two parts, or one of two branches. */
function partsOf(
  { norms, parallel, factors: { residual: factor } }: TransformerConfig,
  blocks: Readonly<Record<"attention" | "mlp", Block>>,
  dtype: FloatDType,
  norm: (slot: string, dtype: FloatDType) => NormBlock,
): Layer {
  if (parallel) {
    const shared = norm("attentionNorm", dtype);
    return [{ branches: [blocks.attention, blocks.mlp].map((block) => ({ norm: shared, block })), factor }];
  }
  return (["attention", "mlp"] as const).map((name): Part => {
    const [before, behind] = [`${name}Norm`, `${name}PostNorm`] as const;
    return {
      branches: [{ norm: norms[before] ? norm(before, dtype) : noNorm({ dtype }), block: blocks[name] }],
      postNorm: norms[behind] === undefined ? undefined : norm(behind, "f32"), // as the stream is
      factor,
    };
  });
}

/** [Lmax, R] f32 */
async function anglesConstant(
  options: RopeTableOptions,
  constant: BuildContext["constant"],
): Promise<Tensor> {
  const { table, maxLength, rotaryDim } = await inTurns(ropeTableSteps(options));
  return constant(table, [maxLength, rotaryDim]);
}
