/**
 * How the layers of a family differ from Llama's, as its checkpoints spell it: for tiny checkpoints and for the reference that computes
 * their logits. Written here anew on purpose: it checks lib/models.
 */

export interface TinyLayout {
  /** Names of the norms in front of attention and mlp, and behind them. */
  readonly norms: {
    readonly attention?: string;
    readonly attentionPost?: string;
    readonly mlp?: string;
    readonly mlpPost?: string;
  };
  /** What the norms of queries and keys run over. */
  readonly qkNorm?: "each head" | "all heads";
}

const inFront = { attention: "input_layernorm", mlp: "post_attention_layernorm" };

const layouts: Readonly<Record<string, TinyLayout>> = {
  Olmo2ForCausalLM: {
    norms: { attentionPost: "post_attention_layernorm", mlpPost: "post_feedforward_layernorm" },
    qkNorm: "all heads",
  },
  Qwen3ForCausalLM: { norms: inFront, qkNorm: "each head" },
  Qwen3MoeForCausalLM: { norms: inFront, qkNorm: "each head" },
};

export function layoutOf(config: { readonly architectures: readonly [string] }): TinyLayout {
  return layouts[config.architectures[0]] ?? { norms: inFront };
}
