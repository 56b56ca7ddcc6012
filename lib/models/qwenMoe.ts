/**
 * The feed-forward part that Qwen2-MoE, Qwen3-MoE have in common: experts by the softmax over all of them, in some of the layers.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readSilu } from "./activations.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { TransformerMlp } from "./transformer.js";
import type { TransformerConfig } from "./transformerConfig.js";
import { denseMlp } from "./transformerMlp.js";
import { mixedMlp, projections, sparseMlp, type SparseMlpOptions } from "./transformerMoe.js";

/** What `readQwenExperts` reads. */
export const qwenMoeFields: readonly string[] = [
  ...["intermediate_size", "hidden_act"],
  ...["num_experts", "num_local_experts", "num_experts_per_tok", "moe_intermediate_size", "norm_topk_prob"],
  ...["decoder_sparse_step", "mlp_only_layers"],
];

/** Every `decoder_sparse_step`-th layer has experts, except those of `mlp_only_layers`. */
export function readQwenExperts(
  reader: ConfigReader,
  { hiddenSize, numLayers }: Pick<TransformerConfig, "hiddenSize" | "numLayers">,
  shared?: SparseMlpOptions["shared"],
): TransformerMlp {
  readSilu(reader);
  const numExperts = boundedInt(reader, ["num_experts", "num_local_experts"], maxExperts);
  const topK = boundedInt(reader, "num_experts_per_tok", numExperts);
  const step = reader.positiveInt("decoder_sparse_step", 1);
  const dense = new Set(reader.intList("mlp_only_layers", []));
  const mlp = `model.layers.{layer}.mlp`;
  return mixedMlp(numLayers, (layer) => !dense.has(layer) && (layer + 1) % step === 0, {
    sparse: (onlyLayers) =>
      sparseMlp({
        ...{ hiddenSize, numExperts, onlyLayers },
        width: reader.positiveInt("moe_intermediate_size"),
        choice: { topK, scores: "softmax", renormalize: reader.bool("norm_topk_prob", false) },
        names: { router: `${mlp}.gate.weight`, experts: projections(`${mlp}.experts.{expert}`) },
        ...(shared && { shared }),
      }),
    dense: (onlyLayers) => {
      const width = reader.positiveInt("intermediate_size");
      return denseMlp({ hiddenSize, width, activation: "silu", bias: false, onlyLayers });
    },
  });
}
