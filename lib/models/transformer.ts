/**
 * What Llama and its descendants have in common: pre-norm layers with RMSNorm, rotary positions, grouped-query attention.
 * A family file reads its own fields and passes the differences as arguments; nothing here knows a family.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { inTurns } from "../eventLoop.js";
import { attentionBlock } from "../nn/attention.js";
import { decoder, type Decoder, type Layer } from "../nn/decoder.js";
import { rmsNormBlock } from "../nn/norm.js";
import { type Block, preNorm } from "../nn/part.js";
import { ropeTableSteps } from "../nn/ropeTable.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import { boundedInt, checkHeadDim, longestRopeContext, maxLayers } from "./limits.js";
import type { BuildContext, ModelDefinition } from "./model.js";
import { type RankShape, rankShape } from "./rankShape.js";
import { readRope, ropeFields, type RopeConfig } from "./ropeConfig.js";

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
  readonly attentionBias: AttentionBias;
  /** RMSNorm on every query and key head before its rotation. */
  readonly qkNorm: boolean;
  /** By layer: keys that a query sees, itself included; 0 is all. */
  readonly windows: readonly number[];
}

/** Which projections of attention have biases: none, those of queries, keys and values, or the one of the output, too. */
export type AttentionBias = "none" | "qkv" | "all";

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
  readonly ropeTheta: number;
  /** Undefined: hiddenSize / numHeads. */
  readonly headDim?: number;
  /** Undefined: numHeads, which `null` always means. */
  readonly numKvHeads?: number;
}

/** What `readTransformerConfig` reads, for the table of a family. */
export const transformerFields: readonly string[] = [
  ...[
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
  ],
  ...["rms_norm_eps", "tie_word_embeddings", ...ropeFields],
];

/** What changes no logits in any of them. */
export const transformerIrrelevant: readonly string[] = [
  ...["attention_dropout", "hidden_dropout", "embd_pdrop", "resid_pdrop", "residual_dropout", "mlp_dropout"],
  ...["attention_probs_dropout_prob", "hidden_dropout_prob"],
];

/** Reads the fields that all families spell alike. No biases, no norms on heads, no windows. */
export function readTransformerConfig(
  reader: ConfigReader,
  defaults: TransformerDefaults = { normEps: 1e-6, ropeTheta: 10_000 },
): TransformerConfig {
  const hiddenSize = reader.positiveInt("hidden_size");
  const numLayers = boundedInt(reader, "num_hidden_layers", maxLayers);
  const numHeads = reader.positiveInt("num_attention_heads");
  const numKvHeads = reader.nullablePositiveInt("num_key_value_heads", defaults.numKvHeads) ?? numHeads;
  if (numHeads % numKvHeads !== 0) {
    reader.fail("num_key_value_heads", `a divisor of num_attention_heads (${numHeads})`);
  }
  const headDim = checkHeadDim(
    reader,
    reader.has("head_dim") ? "head_dim" : "num_attention_heads",
    reader.nullablePositiveInt("head_dim", defaults.headDim) ?? hiddenSize / numHeads,
  );
  return {
    vocabSize: reader.positiveInt("vocab_size"),
    hiddenSize,
    numLayers,
    numHeads,
    numKvHeads,
    headDim,
    normEps: reader.positiveNumber("rms_norm_eps", defaults.normEps),
    tiedHead: reader.bool("tie_word_embeddings", false),
    rope: readRope(reader, headDim, defaults.ropeTheta),
    attentionBias: "none",
    qkNorm: false,
    windows: new Array<number>(numLayers).fill(0),
  };
}

/** The model of a config and its feed-forward part. */
export function transformer(config: TransformerConfig, mlp: TransformerMlp): ModelDefinition {
  const { vocabSize, hiddenSize, numLayers, numHeads, numKvHeads, headDim, rope } = config;
  const { numExperts, expertsPerToken } = mlp;
  const shape = {
    ...{ vocabSize, numLayers, hiddenSize, numHeads, numKvHeads, headDim, valueDim: headDim },
    ...{ numExperts, expertsPerToken },
  };
  return {
    shape,
    trainedContext: rope.maxPositionEmbeddings,
    longestContext: longestRopeContext(rope),
    weights: {
      rows: [...outerRows(config), ...attentionRows(config), ...mlp.rows],
      ...{ numLayers, numExperts, prefixAlternatives },
    },
    build: (weights, context) => build(config, mlp, weights, { ...context, rank: rankShape(shape, context) }),
  };
}

/** Exports of the model without its head (embedding models, base models), and of the language part of larger models. */
const prefixAlternatives = [
  { from: "model.", to: "" },
  { from: "model.", to: "language_model.model." },
  { from: "model.", to: "model.language_model." },
  { from: "lm_head.", to: "language_model.lm_head." },
];

function outerRows({ vocabSize: V, hiddenSize: D, tiedHead }: TransformerConfig): ModelWeightRow[] {
  const tied = tiedHead ? { tiedTo: { slot: "embedding", when: "always" as const } } : {};
  return [
    {
      ...{ slot: "embedding", form: "embedding", from: ["model.embed_tokens.weight"], shapes: [[V, D]] },
      stage: "first",
    },
    { slot: "head", form: "linear", from: ["lm_head.weight"], shapes: [[V, D]], stage: "last", ...tied },
    { slot: "finalNorm", form: "vector", from: ["model.norm.weight"], shapes: [[D]], stage: "last" },
  ];
}

function attentionRows(config: TransformerConfig): ModelWeightRow[] {
  const { hiddenSize: D, numHeads, numKvHeads, headDim, attentionBias, qkNorm } = config;
  const [Q, KV] = [numHeads * headDim, numKvHeads * headDim];
  const layer = "model.layers.{layer}";
  const attention = `${layer}.self_attn`;
  const heads = { axis: "heads", headDim } as const;
  const qkv = [`${attention}.q_proj`, `${attention}.k_proj`, `${attention}.v_proj`];
  const weights = qkv.map((name) => `${name}.weight`);
  const biases = qkv.map((name) => `${name}.bias`);
  const rows: ModelWeightRow[] = [
    { slot: "attentionNorm", form: "vector", from: [`${layer}.input_layernorm.weight`], shapes: [[D]] },
    {
      slot: "qkv",
      form: "linear",
      from: weights,
      shapes: [Q, KV, KV].map((size) => [size, D]),
      split: heads,
    },
    {
      ...{ slot: "attentionOutput", form: "linear", from: [`${attention}.o_proj.weight`], shapes: [[D, Q]] },
      split: { axis: "inputs" },
    },
    { slot: "mlpNorm", form: "vector", from: [`${layer}.post_attention_layernorm.weight`], shapes: [[D]] },
  ];
  const qkvBias: ModelWeightRow = {
    ...{ slot: "qkvBias", form: "vector", from: biases, shapes: [[Q], [KV], [KV]], split: heads },
  };
  const outputBias: ModelWeightRow = {
    ...{ slot: "attentionOutputBias", form: "vector", from: [`${attention}.o_proj.bias`], shapes: [[D]] },
    split: { axis: "sum" },
  };
  const biasRows = { none: [], qkv: [qkvBias], all: [qkvBias, outputBias] }[attentionBias];
  const normRows: ModelWeightRow[] = [
    { slot: "qNorm", form: "vector", from: [`${attention}.q_norm.weight`], shapes: [[headDim]] },
    { slot: "kNorm", form: "vector", from: [`${attention}.k_norm.weight`], shapes: [[headDim]] },
  ];
  return [...rows, ...biasRows, ...(qkNorm ? normRows : [])];
}

async function build(
  config: TransformerConfig,
  mlp: TransformerMlp,
  weights: ModelWeights,
  { dtype, contextLength, constant, rank }: BuildContext & { readonly rank: RankShape },
): Promise<Decoder> {
  const { hiddenSize: width, headDim, normEps: eps, rope } = config;
  const { numHeads, numKvHeads, sums } = rank;
  const { start: firstLayer, count } = rank.layers;
  const angles = await inTurns(ropeTableSteps({ ...rope, maxLength: contextLength }));
  const ropeAngles = await constant(angles.table, [angles.maxLength, angles.rotaryDim]);
  const norm = (slot: string, layer?: number) =>
    rmsNormBlock({ eps, dtype }, { weight: weights.vector(slot, layer) });

  const layers = config.windows.slice(firstLayer, firstLayer + count).map((size, index): Layer => {
    const layer = firstLayer + index;
    const window = size < contextLength ? size : 0; // one that hides nothing is none, and may be no i32
    const attention = attentionBlock(
      { numHeads, numKvHeads, headDim, dtype, scale: headDim ** -0.5, window, qkNormEps: eps },
      {
        qkv: weights.linear("qkv", layer),
        qkvBias: weights.optionalVector("qkvBias", layer),
        qNorm: weights.optionalVector("qNorm", layer),
        kNorm: weights.optionalVector("kNorm", layer),
        ropeTable: ropeAngles,
        output: weights.linear("attentionOutput", layer),
        outputBias: weights.optionalVector("attentionOutputBias", layer),
      },
    );
    return [
      preNorm(norm("attentionNorm", layer), attention),
      preNorm(norm("mlpNorm", layer), mlp.build(weights, layer, rank)),
    ];
  });
  return decoder({
    ...{ width, layers, firstLayer, sums },
    input: rank.isFirst ? { embedding: weights.embedding("embedding") } : undefined,
    output: rank.isLast ? { finalNorm: norm("finalNorm"), head: weights.linear("head") } : undefined,
  });
}
