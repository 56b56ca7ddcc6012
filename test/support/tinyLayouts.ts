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
  /** What the norms of the stream are. Default: RMSNorm. */
  readonly norm?: "layer" | "layer without bias";
  /** The field of their eps where it is not `rms_norm_eps`. */
  readonly epsField?: string;
  /** Attention and mlp read the norm of attention, and are added together. */
  readonly parallel?: boolean;
  /** The mlp has no gate: `c_fc` and `c_proj`. */
  readonly plainMlp?: boolean;
  /** The field of the activation where it is not `hidden_act`. */
  readonly activationField?: string;
  /** The projection of the output of attention has no bias where the others have one. */
  readonly plainOutput?: boolean;
  /** q, k and v are one tensor, `qkv_proj`. */
  readonly fusedQkv?: boolean;
  /** Gate and up are one tensor, `gate_up_proj`. */
  readonly fusedGateUp?: boolean;
  /** Attention is latent, as DeepSeek has it. */
  readonly latent?: boolean;
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

const behind = { attentionPost: "post_attention_layernorm", mlpPost: "post_feedforward_layernorm" };

const cohere: TinyLayout = {
  norms: { attention: "input_layernorm" },
  ...{ norm: "layer without bias", epsField: "layer_norm_eps", parallel: true, interleaved: true },
};

const deepseek: TinyLayout = { norms: inFront, latent: true, interleaved: true };

const layouts: Readonly<Record<string, TinyLayout>> = {
  CohereForCausalLM: cohere,
  Cohere2ForCausalLM: cohere,
  DeepseekV2ForCausalLM: deepseek,
  DeepseekV3ForCausalLM: deepseek,
  Exaone4ForCausalLM: { norms: behind, qkNorm: "each head" },
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
  Olmo2ForCausalLM: { norms: behind, qkNorm: "all heads" },
  Olmo3ForCausalLM: { norms: behind, qkNorm: "all heads" },
  OlmoeForCausalLM: { norms: inFront, qkNorm: "all heads" },
  Phi3ForCausalLM: { norms: inFront, fusedQkv: true, fusedGateUp: true },
  Qwen3ForCausalLM: { norms: inFront, qkNorm: "each head" },
  Qwen3MoeForCausalLM: { norms: inFront, qkNorm: "each head" },
  StableLmForCausalLM: { norms: inFront, plainOutput: true, norm: "layer", epsField: "layer_norm_eps" },
  Starcoder2ForCausalLM: { norms: inFront, norm: "layer", epsField: "norm_epsilon", plainMlp: true },
};

export function layoutOf(config: TinyConfig): TinyLayout {
  const layout = layouts[config.architectures[0]] ?? { norms: inFront };
  return {
    ...layout,
    ...(config["rope_interleave"] === false && { interleaved: false }), // of DeepSeek V3
    ...(config["use_qk_norm"] === true && { qkNorm: "each head" as const }), // of GLM-4.5
    ...(config["use_parallel_residual"] === true && {
      ...{ norms: { attention: "input_layernorm" }, parallel: true }, // of StableLM
    }),
  };
}
