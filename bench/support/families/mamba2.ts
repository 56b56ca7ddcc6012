import { bias, type CommonShape, embedding, matrix, normWeight, type RandomModel } from "./tensors.js";

export interface Mamba2Shape extends CommonShape {
  readonly family: "mamba2";
  /** H */
  readonly numHeads: number;
  /** P */
  readonly headDim: number;
  /** G */
  readonly numGroups: number;
  /** N, what a channel keeps */
  readonly stateSize: number;
}

export const mamba2Taps = 4;
export const mamba2NormEps = 1e-5;

export function mamba2Model(shape: Mamba2Shape): RandomModel {
  const { vocabSize, numLayers, hiddenSize: D, numHeads: H, headDim: P, numGroups: G, stateSize: N } = shape;
  const [inner, convolved] = [H * P, H * P + 2 * G * N];
  const mixers = Array.from({ length: numLayers }, (_, layer) => `backbone.layers.${layer}.mixer`);
  return {
    tied: true,
    config: {
      architectures: ["Mamba2ForCausalLM"],
      model_type: "mamba2",
      num_hidden_layers: numLayers,
      hidden_size: D,
      expand: inner / D,
      num_heads: H,
      head_dim: P,
      n_groups: G,
      state_size: N,
      conv_kernel: mamba2Taps,
      hidden_act: "silu",
      layer_norm_epsilon: mamba2NormEps,
    },
    tensors: [
      embedding("backbone.embeddings.weight", vocabSize, D),
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
    ],
  };
}
