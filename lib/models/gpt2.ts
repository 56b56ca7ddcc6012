/**
 * GPT-2: LayerNorm with bias, learned positions, multi-head attention, a plain gelu MLP, head tied to the embedding.
 * Its matrices are Conv1D: stored [in, out].
 *
 * Config: GPT2Config of transformers. Paper: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019).
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { attentionBlock } from "../nn/attention.js";
import { decoder, type Decoder, type Layer } from "../nn/decoder.js";
import { plainMlpBlock } from "../nn/mlp.js";
import { layerNormBlock } from "../nn/norm.js";
import { preNorm } from "../nn/part.js";
import type { GeluApproximation } from "../ops/gelu.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import { readGelu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { boundedInt, checkHeadDim, maxLayers, trainedPositions } from "./limits.js";
import type { BuildContext, ModelDefinition } from "./model.js";
import { type RankShape, rankShape } from "./rankShape.js";

interface Gpt2Config {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly numHeads: number;
  readonly headDim: number;
  /** F, `n_inner`; null means 4 D */
  readonly mlpWidth: number;
  /** Learned positions: a longer context does not exist. */
  readonly maxPositions: number;
  readonly normEps: number;
  readonly gelu: GeluApproximation;
  readonly tiedHead: boolean;
  /** By layer: factor on the products of queries and keys. */
  readonly scales: readonly number[];
}

export const gpt2Fields: FieldTable = {
  modelTypes: ["gpt2"],
  used: [
    ...[
      "vocab_size",
      "n_embd",
      "hidden_size",
      "n_layer",
      "num_hidden_layers",
      "n_head",
      "num_attention_heads",
    ],
    ...["n_inner", "n_positions", "max_position_embeddings", "n_ctx", "activation_function"],
    ...["layer_norm_epsilon", "scale_attn_weights", "scale_attn_by_inverse_layer_idx", "tie_word_embeddings"],
  ],
  irrelevant: [
    ...["attn_pdrop", "embd_pdrop", "resid_pdrop", "summary_type", "summary_use_proj", "summary_activation"],
    ...["summary_proj_to_labels", "summary_first_dropout"],
    "reorder_and_upcast_attn", // the same products, with sums in f32: here they always are
  ],
  refused: {},
};

export function gpt2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, gpt2Fields);
  const config = readGpt2Config(reader);
  const { vocabSize, hiddenSize, numLayers, numHeads, headDim, maxPositions } = config;
  const shape = {
    ...{ vocabSize, numLayers, hiddenSize, numHeads, numKvHeads: numHeads, headDim, valueDim: headDim },
    ...{ numExperts: 0, expertsPerToken: 0 },
  };
  return {
    shape,
    trainedContext: maxPositions,
    longestContext: maxPositions,
    weights: {
      rows: weightRows(config),
      numLayers,
      prefixAlternatives: [{ from: "transformer.", to: "" }], // exports of the model without its head
    },
    build: (weights, context) => build(config, weights, { ...context, rank: rankShape(shape, context) }),
  };
}

function readGpt2Config(reader: ConfigReader): Gpt2Config {
  const hiddenSize = reader.positiveInt(["n_embd", "hidden_size"]);
  const numLayers = boundedInt(reader, ["n_layer", "num_hidden_layers"], maxLayers);
  const numHeads = reader.positiveInt(["n_head", "num_attention_heads"]);
  const positions = ["n_positions", "max_position_embeddings"];
  const headDim = checkHeadDim(reader, "n_head", hiddenSize / numHeads, "n_embd / n_head");
  const scale = reader.bool("scale_attn_weights", true) ? headDim ** -0.5 : 1;
  const byLayer = reader.bool("scale_attn_by_inverse_layer_idx", false);
  return {
    vocabSize: reader.positiveInt("vocab_size"),
    hiddenSize,
    numLayers,
    numHeads,
    headDim,
    mlpWidth: reader.optionalPositiveInt("n_inner") ?? 4 * hiddenSize,
    maxPositions: trainedPositions(reader, reader.has(positions) ? positions : "n_ctx"),
    normEps: reader.positiveNumber("layer_norm_epsilon", 1e-5),
    gelu: readGelu(reader, "activation_function", "gelu_new"),
    tiedHead: reader.bool("tie_word_embeddings", true),
    scales: Array.from({ length: numLayers }, (_, layer) => (byLayer ? scale / (layer + 1) : scale)),
  };
}

function weightRows(config: Gpt2Config): ModelWeightRow[] {
  const { vocabSize: V, hiddenSize: D, mlpWidth: F, maxPositions: L } = config;
  const h = "transformer.h.{layer}";
  type Split = Pick<ModelWeightRow, "split">;
  type Ranks = Split & Pick<ModelWeightRow, "stage">;
  const vector = (slot: string, name: string, size: number, ranks: Ranks = {}): ModelWeightRow => ({
    ...{ slot, form: "vector", from: [name], shapes: [[size]], ...ranks },
  });
  const conv1d = (slot: string, name: string, shape: readonly number[], split: Split): ModelWeightRow => ({
    ...{ slot, form: "linear", from: [name], shapes: [shape], transpose: true, ...split },
  });
  const heads: Split = { split: { axis: "heads", headDim: config.headDim, groups: 3 } };
  const outputs: Split = { split: { axis: "outputs" } };
  const inputs: Split = { split: { axis: "inputs" } };
  const summed: Split = { split: { axis: "sum" } };
  const [first, last] = [{ stage: "first" }, { stage: "last" }] as const;
  const tied = config.tiedHead ? { tiedTo: { slot: "embedding", when: "always" as const } } : {};
  const table = { shapes: [[V, D]], sizeFields: ["vocab_size", "n_embd"] };
  const places = { shapes: [[L, D]], sizeFields: ["n_positions", "n_embd"] };
  return [
    { slot: "embedding", form: "embedding", from: ["transformer.wte.weight"], ...table, ...first },
    { slot: "positions", form: "table", from: ["transformer.wpe.weight"], ...places, ...first },
    { slot: "head", form: "linear", from: ["lm_head.weight"], quantized: "int8", ...table, ...last, ...tied },
    vector("finalNorm", "transformer.ln_f.weight", D, last),
    vector("finalNormBias", "transformer.ln_f.bias", D, last),
    vector("attentionNorm", `${h}.ln_1.weight`, D),
    vector("attentionNormBias", `${h}.ln_1.bias`, D),
    conv1d("qkv", `${h}.attn.c_attn.weight`, [D, 3 * D], heads),
    vector("qkvBias", `${h}.attn.c_attn.bias`, 3 * D, heads),
    conv1d("attentionOutput", `${h}.attn.c_proj.weight`, [D, D], inputs),
    vector("attentionOutputBias", `${h}.attn.c_proj.bias`, D, summed),
    vector("mlpNorm", `${h}.ln_2.weight`, D),
    vector("mlpNormBias", `${h}.ln_2.bias`, D),
    conv1d("up", `${h}.mlp.c_fc.weight`, [D, F], outputs),
    vector("upBias", `${h}.mlp.c_fc.bias`, F, outputs),
    conv1d("down", `${h}.mlp.c_proj.weight`, [F, D], inputs),
    vector("downBias", `${h}.mlp.c_proj.bias`, D, summed),
  ];
}

function build(
  config: Gpt2Config,
  weights: ModelWeights,
  { dtype, kvDtype, rank }: BuildContext & { readonly rank: RankShape },
): Decoder {
  const { headDim, hiddenSize: width, normEps: eps, scales, gelu: approximate } = config;
  const { numHeads, numKvHeads, sums } = rank;
  const { start: firstLayer, count } = rank.layers;
  const norm = (slot: string, layer?: number) =>
    layerNormBlock(
      { eps, dtype },
      { weight: weights.vector(slot, layer), bias: weights.vector(`${slot}Bias`, layer) },
    );

  const layers = scales.slice(firstLayer, firstLayer + count).map((scale, index): Layer => {
    const layer = firstLayer + index;
    const attention = attentionBlock(
      { numHeads, numKvHeads, headDim, dtype, kvDtype, scale, window: 0 },
      {
        qkv: weights.linear("qkv", layer),
        qkvBias: weights.vector("qkvBias", layer),
        output: weights.linear("attentionOutput", layer),
        outputBias: weights.optionalVector("attentionOutputBias", layer),
      },
    );
    const mlp = plainMlpBlock(
      { approximate },
      {
        up: weights.linear("up", layer),
        upBias: weights.vector("upBias", layer),
        down: weights.linear("down", layer),
        downBias: weights.optionalVector("downBias", layer),
      },
    );
    return [preNorm(norm("attentionNorm", layer), attention), preNorm(norm("mlpNorm", layer), mlp)];
  });
  const input = () => ({ embedding: weights.embedding("embedding"), positions: weights.table("positions") });
  return decoder({
    ...{ width, layers, firstLayer, sums },
    input: rank.isFirst ? input() : undefined,
    output: rank.isLast ? { finalNorm: norm("finalNorm"), head: weights.linear("head") } : undefined,
  });
}
