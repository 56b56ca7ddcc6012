import type { RandomTensor } from "../randomValues.js";
import { bias, type CommonShape, embedding, matrix, normWeight, type RandomModel } from "./tensors.js";

export interface Gpt2Shape extends CommonShape {
  readonly family: "gpt2";
  /** Of hiddenSize / numHeads each. */
  readonly numHeads: number;
  /** F */
  readonly mlpWidth: number;
}

/** Conv1D matrices: stored [in, out]. */
export function gpt2Model(shape: Gpt2Shape): RandomModel {
  const { vocabSize, numLayers, hiddenSize: D, mlpWidth: F, maxPositions } = shape;
  const norm = (name: string): RandomTensor[] => [normWeight(`${name}.weight`, D), bias(`${name}.bias`, D)];
  const conv1d = (name: string, inputs: number, outputs: number): RandomTensor[] => [
    matrix(`${name}.weight`, [inputs, outputs], inputs),
    bias(`${name}.bias`, outputs),
  ];
  const layers = Array.from({ length: numLayers }, (_, layer) => `transformer.h.${layer}`);
  return {
    tied: true,
    config: {
      architectures: ["GPT2LMHeadModel"],
      model_type: "gpt2",
      n_layer: numLayers,
      n_embd: D,
      n_head: shape.numHeads,
      n_inner: F,
      n_positions: maxPositions,
      n_ctx: maxPositions,
      activation_function: "gelu_new",
      layer_norm_epsilon: 1e-5,
    },
    tensors: [
      embedding("transformer.wte.weight", vocabSize, D),
      embedding("transformer.wpe.weight", maxPositions, D, 0.02),
      ...layers.flatMap((layer) => [
        ...norm(`${layer}.ln_1`),
        ...conv1d(`${layer}.attn.c_attn`, D, 3 * D),
        ...conv1d(`${layer}.attn.c_proj`, D, D),
        ...norm(`${layer}.ln_2`),
        ...conv1d(`${layer}.mlp.c_fc`, D, F),
        ...conv1d(`${layer}.mlp.c_proj`, F, D),
      ]),
      ...norm("transformer.ln_f"),
    ],
  };
}
