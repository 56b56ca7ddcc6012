/**
 * How the layers of a family differ from Llama's, as its checkpoints spell it: for tiny checkpoints and for the reference that computes
 * their logits. Written here anew on purpose: it checks lib/models.
 */

import type { TinyConfig } from "./tinyCheckpoint.js";

export interface TinyLayout {
  /** Names of the norms in front of attention and mlp, and behind them. */
  readonly norms: {
    readonly attention?: string;
    readonly attentionPost?: string;
    readonly mlp?: string;
    readonly mlpPost?: string;
  };
  /** What the norms of queries and keys run over. */
  readonly qkNorm?: QkNorm;
  /** Weights of norms are what is added to 1. */
  readonly normsAddOne?: boolean;
  /** The field of the activation where it is not `hidden_act`. */
  readonly activationField?: string;
  /** The projection of the output of attention has no bias where the others have one. */
  readonly plainOutput?: boolean;
  /** q, k and v are one tensor, `qkv_proj`. */
  readonly fusedQkv?: boolean;
  /** Gate and up are one tensor, `gate_up_proj`. */
  readonly fusedGateUp?: boolean;
  /** Heads have sinks. */
  readonly sinks?: boolean;
  /** Pairs that are rotated are neighbours. */
  readonly interleaved?: boolean;
}

export type QkNorm = "none" | "each head" | "all heads";

const inFront = { attention: "input_layernorm", mlp: "post_attention_layernorm" };

const gemma: TinyLayout = {
  norms: {
    ...{ attention: "input_layernorm", attentionPost: "post_attention_layernorm" },
    ...{ mlp: "pre_feedforward_layernorm", mlpPost: "post_feedforward_layernorm" },
  },
  ...{ normsAddOne: true, activationField: "hidden_activation" },
};

const layouts: Readonly<Record<string, TinyLayout>> = {
  Gemma2ForCausalLM: gemma,
  Gemma3ForCausalLM: { ...gemma, qkNorm: "each head" },
  Glm4ForCausalLM: {
    norms: {
      ...{ ...inFront, attentionPost: "post_self_attn_layernorm", mlpPost: "post_mlp_layernorm" },
    },
    ...{ plainOutput: true, fusedGateUp: true, interleaved: true },
  },
  Glm4MoeForCausalLM: { norms: inFront, plainOutput: true },
  GptOssForCausalLM: { norms: inFront, sinks: true },
  Olmo2ForCausalLM: {
    norms: { attentionPost: "post_attention_layernorm", mlpPost: "post_feedforward_layernorm" },
    qkNorm: "all heads",
  },
  OlmoeForCausalLM: { norms: inFront, qkNorm: "all heads" },
  Phi3ForCausalLM: { norms: inFront, fusedQkv: true, fusedGateUp: true },
  Qwen3ForCausalLM: { norms: inFront, qkNorm: "each head" },
  Qwen3MoeForCausalLM: { norms: inFront, qkNorm: "each head" },
};

export function layoutOf(config: TinyConfig): TinyLayout {
  const layout = layouts[config.architectures[0]] ?? { norms: inFront };
  return config["use_qk_norm"] === true ? { ...layout, qkNorm: "each head" } : layout; // of GLM-4.5
}
