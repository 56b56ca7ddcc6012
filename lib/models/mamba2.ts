/**
 * Mamba-2: layers of one mixer each, RMSNorm in front, no attention, no feed-forward part and no positions.
 *
 * Config: Mamba2Config of transformers. Paper: Dao, Gu, "Transformers are SSMs" (arXiv 2405.21060).
 *
 * With several groups each is normalised by itself, as the original implementation (state-spaces/mamba) trained its models and vLLM and
 * llama.cpp run them; transformers 4 and 5 normalise all channels together.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { decoder, type Decoder, type Layer } from "../nn/decoder.js";
import { mambaBlock, type MambaConfig } from "../nn/mamba.js";
import { rmsNormBlock } from "../nn/norm.js";
import { preNorm } from "../nn/part.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import { readSilu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { refuse } from "./foreignFields.js";
import { boundedInt, maxLayers } from "./limits.js";
import type { BuildContext, ModelDefinition } from "./model.js";
import { type RankShape, rankShape } from "./rankShape.js";

interface Mamba2Config extends Omit<MambaConfig, "dtype"> {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numLayers: number;
  readonly tiedHead: boolean;
  readonly convBias: boolean;
  /** Biases on both projections. */
  readonly bias: boolean;
}

export const mamba2Fields: FieldTable = {
  modelTypes: ["mamba2"],
  used: [
    ...["vocab_size", "hidden_size", "num_hidden_layers", "num_heads", "head_dim", "state_size", "n_groups"],
    ...["expand", "conv_kernel", "use_conv_bias", "use_bias", "hidden_act", "layer_norm_epsilon"],
    ...["time_step_limit", "tie_word_embeddings"],
  ],
  irrelevant: [
    ...["time_step_rank", "time_step_min", "time_step_max", "time_step_floor", "time_step_scale"], // how dt_bias begins
    ...["time_step_init_scheme", "rescale_prenorm_residual"],
    ...["residual_in_fp32", "chunk_size"], // how it is computed: here in f32, and chunks change nothing
    ...["intermediate_size"], // expand * hidden_size, whatever it says
    ...["norm_before_gate"], // the class has no code for it: published configs say true and mean false
  ],
  refused: refuse("a mixer without its norm", [true], ["rms_norm"]),
};

export function mamba2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, mamba2Fields);
  const config = readMamba2Config(reader);
  const { vocabSize, numLayers, hiddenSize, numHeads, numGroups, stateSize, headDim } = config;
  const shape = {
    // By the duality with attention: heads of queries, of keys, their widths.
    ...{ vocabSize, numLayers, hiddenSize, numHeads, numKvHeads: numGroups },
    ...{ headDim: stateSize, valueDim: headDim, numExperts: 0, expertsPerToken: 0 },
  };
  return {
    shape,
    trainedContext: Infinity,
    longestContext: Infinity,
    weights: { rows: weightRows(config), numLayers, prefixAlternatives },
    build: (weights, context) => build(config, weights, { ...context, rank: rankShape(shape, context) }),
  };
}

/** Exports of the model without its head, and the name that the original checkpoints have. */
const prefixAlternatives = [
  { from: "backbone.", to: "" },
  { from: "backbone.embeddings.", to: "backbone.embedding." },
];

function readMamba2Config(reader: ConfigReader): Mamba2Config {
  readSilu(reader);
  const hiddenSize = reader.positiveInt("hidden_size", 4096);
  const [numHeads, headDim] = [reader.positiveInt("num_heads", 128), reader.positiveInt("head_dim", 64)];
  const inner = Math.floor(reader.positiveNumber("expand", 2) * hiddenSize);
  if (numHeads * headDim !== inner)
    reader.fail(
      "num_heads",
      `heads of ${headDim} channels (head_dim) that are ${inner} in all (expand * hidden_size)`,
    );
  const numGroups = reader.positiveInt("n_groups", 8);
  if (numHeads % numGroups !== 0) reader.fail("n_groups", `a divisor of num_heads (${numHeads})`);
  const taps = reader.positiveInt("conv_kernel", 4);
  if (taps < 2 || taps > 8) reader.fail("conv_kernel", "an integer from 2 to 8");
  return {
    ...{ hiddenSize, numHeads, headDim, numGroups, taps },
    vocabSize: reader.positiveInt("vocab_size", 32_768),
    numLayers: boundedInt(reader, "num_hidden_layers", maxLayers),
    stateSize: boundedInt(reader, "state_size", 256),
    normEps: reader.positiveNumber("layer_norm_epsilon", 1e-5),
    stepLimits: reader.limits("time_step_limit", [0, Infinity]),
    tiedHead: reader.bool("tie_word_embeddings", false),
    convBias: reader.bool("use_conv_bias", true),
    bias: reader.bool("use_bias", false),
  };
}

function weightRows(config: Mamba2Config): ModelWeightRow[] {
  const { vocabSize: V, hiddenSize: D, numHeads: H, headDim, numGroups, stateSize, taps } = config;
  const inner = H * headDim;
  const convolved = inner + 2 * numGroups * stateSize;
  const mixer = "backbone.layers.{layer}.mixer";
  const vector = (slot: string, name: string, size: number): ModelWeightRow => ({
    ...{ slot, form: "vector", from: [name], shapes: [[size]] },
  });
  const matrix = (slot: string, name: string, shape: readonly number[]): ModelWeightRow => ({
    ...{ slot, form: "linear", from: [`${mixer}.${name}.weight`], shapes: [shape] },
  });
  const [first, last] = [{ stage: "first" }, { stage: "last" }] as const;
  const tied = config.tiedHead ? { tiedTo: { slot: "embedding", when: "always" as const } } : {};
  const table = { shapes: [[V, D]], sizeFields: ["vocab_size", "hidden_size"] };
  return [
    { slot: "embedding", form: "embedding", from: ["backbone.embeddings.weight"], ...table, ...first },
    { slot: "head", form: "linear", from: ["lm_head.weight"], quantized: "int8", ...table, ...last, ...tied },
    { ...vector("finalNorm", "backbone.norm_f.weight", D), ...last },
    vector("norm", "backbone.layers.{layer}.norm.weight", D),
    matrix("input", "in_proj", [inner + convolved + H, D]),
    { slot: "conv", form: "filters", from: [`${mixer}.conv1d.weight`], shapes: [[convolved, 1, taps]] },
    { ...vector("a", `${mixer}.A_log`, H), map: (value) => -Math.exp(value) },
    vector("dtBias", `${mixer}.dt_bias`, H),
    vector("skip", `${mixer}.D`, H),
    vector("mixerNorm", `${mixer}.norm.weight`, inner),
    matrix("output", "out_proj", [D, inner]),
    ...(config.convBias ? [vector("convBias", `${mixer}.conv1d.bias`, convolved)] : []),
    ...(config.bias
      ? [
          vector("inputBias", `${mixer}.in_proj.bias`, inner + convolved + H),
          vector("outputBias", `${mixer}.out_proj.bias`, D),
        ]
      : []),
  ];
}

function build(
  config: Mamba2Config,
  weights: ModelWeights,
  { dtype, rank }: BuildContext & { readonly rank: RankShape },
): Decoder {
  const { hiddenSize: width, normEps: eps } = config;
  const { start: firstLayer, count } = rank.layers;
  const norm = (slot: string, layer?: number) =>
    rmsNormBlock({ eps, dtype }, { weight: weights.vector(slot, layer) });
  const layers = Array.from({ length: count }, (_, index): Layer => {
    const layer = firstLayer + index;
    const mixer = mambaBlock(
      { ...config, dtype },
      {
        input: weights.linear("input", layer),
        inputBias: weights.optionalVector("inputBias", layer),
        conv: weights.filters("conv", layer),
        convBias: weights.optionalVector("convBias", layer),
        a: weights.vector("a", layer),
        dtBias: weights.vector("dtBias", layer),
        skip: weights.vector("skip", layer),
        norm: weights.vector("mixerNorm", layer),
        output: weights.linear("output", layer),
        outputBias: weights.optionalVector("outputBias", layer),
      },
    );
    return [preNorm(norm("norm", layer), mixer)];
  });
  return decoder({
    ...{ width, layers, firstLayer, sums: rank.sums },
    input: rank.isFirst ? { embedding: weights.embedding("embedding") } : undefined,
    output: rank.isLast ? { finalNorm: norm("finalNorm"), head: weights.linear("head") } : undefined,
  });
}
