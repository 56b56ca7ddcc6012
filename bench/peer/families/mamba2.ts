import { mamba2Model, mamba2NormEps, type Mamba2Shape, mamba2Taps } from "../../support/families/mamba2.js";
import { f32, finder, type GgufModel, type GgufSource, same, u32 } from "./sources.js";

export function mamba2Gguf(shape: Mamba2Shape): GgufModel {
  const { numLayers, numHeads: H, headDim: P, numGroups: G, stateSize: N } = shape;
  const [inner, convolved] = [H * P, H * P + 2 * G * N];
  const find = finder(mamba2Model(shape).tensors);
  const layers = Array.from({ length: numLayers }, (_, index): GgufSource[] => {
    const layer = `backbone.layers.${index}`;
    const mixer = (name: string) => find(`${layer}.mixer.${name}`);
    /** Of f32, in another shape. */
    const small = (name: string, sizes: readonly number[], from: string): GgufSource => ({
      ...{ name: `blk.${index}.${name}`, shape: sizes, dtype: "f32", from: [mixer(from)] },
    });
    return [
      same(`blk.${index}.attn_norm.weight`, find(`${layer}.norm.weight`)),
      same(`blk.${index}.ssm_in.weight`, mixer("in_proj.weight")),
      small("ssm_conv1d.weight", [convolved, mamba2Taps], "conv1d.weight"),
      small("ssm_conv1d.bias", [convolved], "conv1d.bias"),
      small("ssm_dt.bias", [H], "dt_bias"),
      { ...small("ssm_a", [H, 1], "A_log"), map: (log) => -Math.exp(log) },
      small("ssm_d", [H, 1], "D"),
      small("ssm_norm.weight", [G, inner / G], "norm.weight"),
      same(`blk.${index}.ssm_out.weight`, mixer("out_proj.weight")),
    ];
  });
  return {
    architecture: "mamba2",
    metadata: {
      feed_forward_length: u32(0),
      "attention.head_count": u32(0),
      "attention.layer_norm_rms_epsilon": f32(mamba2NormEps),
      "ssm.conv_kernel": u32(mamba2Taps),
      "ssm.inner_size": u32(inner),
      "ssm.state_size": u32(N),
      "ssm.time_step_rank": u32(H),
      "ssm.group_count": u32(G),
    },
    tensors: [
      same("token_embd.weight", find("backbone.embeddings.weight")),
      same("output_norm.weight", find("backbone.norm_f.weight")),
      ...layers.flat(),
    ],
  };
}
