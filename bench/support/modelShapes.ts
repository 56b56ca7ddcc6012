/**
 * Shapes of the models that benches run, with what a checkpoint of such a shape contains: its config.json and its tensors
 * by their Hugging Face names.
 */
import type { FloatDType } from "../../lib/device/dtype.js";
import type { RandomTensor } from "./randomValues.js";

export interface ModelShape {
  readonly family: "gpt2" | "qwen3" | "mamba2";
  /** V */
  readonly vocabSize: number;
  readonly numLayers: number;
  /** D */
  readonly hiddenSize: number;
  /** Hq; mamba2: H */
  readonly numHeads: number;
  /** Hkv; gpt2 has as many as query heads; mamba2: G */
  readonly numKvHeads: number;
  /** Dh; gpt2: hiddenSize / numHeads; mamba2: P */
  readonly headDim: number;
  /** F; mamba2: N, what a channel keeps */
  readonly mlpWidth: number;
  /** Longest context in tokens; mamba2 has none. */
  readonly maxPositions: number;
}

/** The head is tied to the embedding in all of them. */
export const modelShapes = {
  "gpt2-124m": {
    family: "gpt2",
    vocabSize: 50_257,
    numLayers: 12,
    hiddenSize: 768,
    numHeads: 12,
    numKvHeads: 12,
    headDim: 64,
    mlpWidth: 3072,
    maxPositions: 1024,
  },
  /** Qwen3-0.6B with a smaller vocabulary, so that the layers weigh most: 473 million parameters. */
  "qwen3-0.6b": {
    family: "qwen3",
    vocabSize: 32_000,
    numLayers: 28,
    hiddenSize: 1024,
    numHeads: 16,
    numKvHeads: 8,
    headDim: 128,
    mlpWidth: 3072,
    maxPositions: 4096,
  },
  /** As wide as Mamba-2 370M, with layers for as many parameters as the one above: 455 million. */
  "mamba2-0.6b": {
    family: "mamba2",
    vocabSize: 32_000,
    numLayers: 64,
    hiddenSize: 1024,
    numHeads: 32,
    numKvHeads: 1,
    headDim: 64,
    mlpWidth: 128,
    maxPositions: 4096,
  },
  /** Qwen3-8B, but for the tied head. */
  "qwen3-8b": {
    family: "qwen3",
    vocabSize: 151_936,
    numLayers: 36,
    hiddenSize: 4096,
    numHeads: 32,
    numKvHeads: 8,
    headDim: 128,
    mlpWidth: 12_288,
    maxPositions: 40_960,
  },
} as const satisfies Record<string, ModelShape>;

export type ModelShapeName = keyof typeof modelShapes;

export const qwen3RopeTheta = 1e6;
export const qwen3NormEps = 1e-6;
const mamba2Taps = 4;

const torchDtypes: Readonly<Record<FloatDType, string>> = {
  f32: "float32",
  f16: "float16",
  bf16: "bfloat16",
};

/** The fields of config.json. @throws RangeError for a gpt2 shape that GPT-2 cannot have */
export function configOf(shape: ModelShape, dtype: FloatDType): Record<string, unknown> {
  const common = {
    vocab_size: shape.vocabSize,
    torch_dtype: torchDtypes[dtype],
    tie_word_embeddings: true,
    bos_token_id: shape.vocabSize - 1,
    eos_token_id: shape.vocabSize - 1,
  };
  if (shape.family === "gpt2") {
    if (shape.numKvHeads !== shape.numHeads || shape.headDim * shape.numHeads !== shape.hiddenSize) {
      throw new RangeError("gpt2: numKvHeads must be numHeads, and headDim * numHeads must be hiddenSize");
    }
    return {
      architectures: ["GPT2LMHeadModel"],
      model_type: "gpt2",
      n_layer: shape.numLayers,
      n_embd: shape.hiddenSize,
      n_head: shape.numHeads,
      n_inner: shape.mlpWidth,
      n_positions: shape.maxPositions,
      n_ctx: shape.maxPositions,
      activation_function: "gelu_new",
      layer_norm_epsilon: 1e-5,
      ...common,
    };
  }
  if (shape.family === "mamba2") {
    return {
      architectures: ["Mamba2ForCausalLM"],
      model_type: "mamba2",
      num_hidden_layers: shape.numLayers,
      hidden_size: shape.hiddenSize,
      expand: (shape.numHeads * shape.headDim) / shape.hiddenSize,
      num_heads: shape.numHeads,
      head_dim: shape.headDim,
      n_groups: shape.numKvHeads,
      state_size: shape.mlpWidth,
      conv_kernel: mamba2Taps,
      hidden_act: "silu",
      layer_norm_epsilon: 1e-5,
      ...common,
    };
  }
  return {
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    num_hidden_layers: shape.numLayers,
    hidden_size: shape.hiddenSize,
    num_attention_heads: shape.numHeads,
    num_key_value_heads: shape.numKvHeads,
    head_dim: shape.headDim,
    intermediate_size: shape.mlpWidth,
    max_position_embeddings: shape.maxPositions,
    hidden_act: "silu",
    rms_norm_eps: qwen3NormEps,
    rope_theta: qwen3RopeTheta,
    attention_bias: false,
    ...common,
  };
}

/** The tensors of the checkpoint. Matrices keep the size of what passes through them: std is in ** -0.5. */
export function tensorsOf(shape: ModelShape): RandomTensor[] {
  return { gpt2: gpt2Tensors, qwen3: qwen3Tensors, mamba2: mamba2Tensors }[shape.family](shape);
}

const embeddingStd = 0.05;

const matrix = (name: string, shape: readonly number[], inputs: number): RandomTensor => ({
  ...{ name, shape, mean: 0, std: inputs ** -0.5 },
});
const normWeight = (name: string, size: number): RandomTensor => ({ name, shape: [size], mean: 1, std: 0.1 });
const bias = (name: string, size: number): RandomTensor => ({ name, shape: [size], mean: 0, std: 0.02 });

/** Conv1D matrices: stored [in, out]. */
function gpt2Tensors({
  vocabSize,
  numLayers,
  hiddenSize: D,
  mlpWidth: F,
  maxPositions,
}: ModelShape): RandomTensor[] {
  const norm = (name: string): RandomTensor[] => [normWeight(`${name}.weight`, D), bias(`${name}.bias`, D)];
  const conv1d = (name: string, inputs: number, outputs: number): RandomTensor[] => [
    matrix(`${name}.weight`, [inputs, outputs], inputs),
    bias(`${name}.bias`, outputs),
  ];
  const layers = Array.from({ length: numLayers }, (_, layer) => `transformer.h.${layer}`);
  return [
    { name: "transformer.wte.weight", shape: [vocabSize, D], mean: 0, std: embeddingStd },
    { name: "transformer.wpe.weight", shape: [maxPositions, D], mean: 0, std: 0.02 },
    ...layers.flatMap((layer) => [
      ...norm(`${layer}.ln_1`),
      ...conv1d(`${layer}.attn.c_attn`, D, 3 * D),
      ...conv1d(`${layer}.attn.c_proj`, D, D),
      ...norm(`${layer}.ln_2`),
      ...conv1d(`${layer}.mlp.c_fc`, D, F),
      ...conv1d(`${layer}.mlp.c_proj`, F, D),
    ]),
    ...norm("transformer.ln_f"),
  ];
}

function qwen3Tensors(shape: ModelShape): RandomTensor[] {
  const { vocabSize, numLayers, hiddenSize: D, numHeads, numKvHeads, headDim, mlpWidth: F } = shape;
  const [Q, KV] = [numHeads * headDim, numKvHeads * headDim];
  const layers = Array.from({ length: numLayers }, (_, layer) => `model.layers.${layer}`);
  return [
    { name: "model.embed_tokens.weight", shape: [vocabSize, D], mean: 0, std: embeddingStd },
    ...layers.flatMap((layer) => [
      normWeight(`${layer}.input_layernorm.weight`, D),
      matrix(`${layer}.self_attn.q_proj.weight`, [Q, D], D),
      matrix(`${layer}.self_attn.k_proj.weight`, [KV, D], D),
      matrix(`${layer}.self_attn.v_proj.weight`, [KV, D], D),
      matrix(`${layer}.self_attn.o_proj.weight`, [D, Q], Q),
      normWeight(`${layer}.self_attn.q_norm.weight`, headDim),
      normWeight(`${layer}.self_attn.k_norm.weight`, headDim),
      normWeight(`${layer}.post_attention_layernorm.weight`, D),
      matrix(`${layer}.mlp.gate_proj.weight`, [F, D], D),
      matrix(`${layer}.mlp.up_proj.weight`, [F, D], D),
      matrix(`${layer}.mlp.down_proj.weight`, [D, F], F),
    ]),
    normWeight("model.norm.weight", D),
  ];
}

function mamba2Tensors(shape: ModelShape): RandomTensor[] {
  const { vocabSize, numLayers, hiddenSize: D, numHeads: H, numKvHeads: G, headDim: P, mlpWidth: N } = shape;
  const [inner, convolved] = [H * P, H * P + 2 * G * N];
  const mixers = Array.from({ length: numLayers }, (_, layer) => `backbone.layers.${layer}.mixer`);
  return [
    { name: "backbone.embeddings.weight", shape: [vocabSize, D], mean: 0, std: embeddingStd },
    ...mixers.flatMap((mixer, layer) => [
      normWeight(`backbone.layers.${layer}.norm.weight`, D),
      matrix(`${mixer}.in_proj.weight`, [inner + convolved + H, D], D),
      matrix(`${mixer}.conv1d.weight`, [convolved, 1, mamba2Taps], mamba2Taps),
      bias(`${mixer}.conv1d.bias`, convolved),
      { name: `${mixer}.A_log`, shape: [H], mean: 1, std: 1 },
      { name: `${mixer}.dt_bias`, shape: [H], mean: -4, std: 1 }, // steps around 0.02
      normWeight(`${mixer}.D`, H),
      normWeight(`${mixer}.norm.weight`, inner),
      matrix(`${mixer}.out_proj.weight`, [D, inner], inner),
    ]),
    normWeight("backbone.norm_f.weight", D),
  ];
}
