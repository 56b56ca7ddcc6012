/**
 * Mixtral: Mistral with experts in place of the feed-forward part. The router's softmax runs over all experts, and the
 * weights of the chosen ones are renormalised (which equals the paper's softmax over the chosen logits).
 *
 * Config: MixtralConfig of transformers. Paper: Jiang et al., "Mixtral of Experts" (arXiv 2401.04088), section 2.
 */
import type { ConfigReader } from "../weights/configReader.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { ModelDefinition } from "./model.js";
import { readTransformerConfig, transformer } from "./transformer.js";
import { sparseMlp } from "./transformerMlp.js";

export function mixtral(reader: ConfigReader): ModelDefinition {
  const config = readTransformerConfig(reader, { normEps: 1e-5, ropeTheta: 1_000_000 });
  const window = reader.optionalPositiveInt("sliding_window") ?? 0;
  reader.oneOf("hidden_act", ["silu"], "silu"); // the experts' gate is fused, and there is no other
  const numExperts = boundedInt(reader, "num_local_experts", maxExperts);

  const mlp = "model.layers.{layer}.block_sparse_moe";
  return transformer(
    { ...config, windows: config.windows.map(() => window) },
    sparseMlp({
      hiddenSize: config.hiddenSize,
      width: reader.positiveInt("intermediate_size"),
      numExperts,
      expertsPerToken: boundedInt(reader, "num_experts_per_tok", numExperts),
      renormalize: true,
      names: {
        router: `${mlp}.gate.weight`,
        gate: `${mlp}.experts.{expert}.w1.weight`,
        up: `${mlp}.experts.{expert}.w3.weight`,
        down: `${mlp}.experts.{expert}.w2.weight`,
      },
    }),
  );
}
