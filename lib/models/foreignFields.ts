/**
 * Fields of config.json that mean the same whatever the family: those that change no logits, and those of other
 * architectures that would. Families add their own in their tables (configFields.ts).
 *
 * Sources: PretrainedConfig and GenerationConfig of transformers 4 and 5; the configs of Gemma, Granite, Cohere, MiniCPM,
 * DeepSeek, Llama 4, SmolLM3, OLMo, Phi, GLM, gpt-oss, GPT-NeoX, GPT-J and Falcon.
 */

/** Why a field is refused. */
export interface Refusal {
  /** Completes "model type x runs without ...". */
  readonly what: string;
  /** Values that say the same as no value. `null` and an empty list or object always do. */
  readonly neutral: readonly unknown[];
}

/** One refusal for several fields. */
export function refuse(
  what: string,
  neutral: readonly unknown[],
  fields: readonly string[],
): Record<string, Refusal> {
  return Object.fromEntries(fields.map((field) => [field, { what, neutral }]));
}

/** Notes, training, output formats, other heads, defaults of sampling, and ids that are read elsewhere. */
export const irrelevantFields: readonly string[] = [
  ...["architectures", "model_type", "transformers_version", "name_or_path", "torch_dtype", "dtype"],
  ...[
    "transformers.js_config",
    "auto_map",
    "unsloth_version",
    "unsloth_fixed",
    "use_return_dict",
    "return_dict",
  ],
  ...["output_attentions", "output_hidden_states", "torchscript", "use_bfloat16", "tf_legacy_loss"],
  ...["attn_implementation", "experts_implementation", "cache_implementation", "chunk_size_feed_forward"],
  ...["is_decoder", "use_cache"],
  ...["gradient_checkpointing", "initializer_range", "keys_to_ignore_at_inference", "tokenizer_class"],
  ...["base_model_tp_plan", "base_model_pp_plan", "base_model_ep_plan", "base_model_fsdp_plan"],
  ...["finetuning_task", "task_specific_params", "problem_type", "id2label", "label2id", "num_labels"],
  ...["bos_token_id", "eos_token_id", "pad_token_id", "sep_token_id", "cls_token_id", "unk_token_id"],
  ...["decoder_start_token_id", "prefix", "cross_attention_hidden_size", "tie_encoder_decoder"],
  // What GenerationConfig took over: nothing here reads it from config.json.
  ...[
    "max_length",
    "min_length",
    "max_new_tokens",
    "do_sample",
    "early_stopping",
    "num_beams",
    "num_beam_groups",
  ],
  ...["diversity_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p", "repetition_penalty"],
  ...["length_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids"],
  ...["num_return_sequences", "output_scores", "return_dict_in_generate", "forced_bos_token_id"],
  ...["forced_eos_token_id", "remove_invalid_values", "exponential_decay_length_penalty", "suppress_tokens"],
  ...["begin_suppress_tokens"],
];

const off = [false, 0];

/** Fields of other architectures: what they would change, and the values that change nothing. */
export const foreignFields: Readonly<Record<string, Refusal>> = {
  ...refuse("a cap on logits", off, [
    ...["attn_logit_softcapping", "final_logit_softcapping", "attn_logit_softcap", "final_logit_softcap"],
    ...["logits_soft_cap", "logit_softcapping", "router_logit_softcapping"],
  ]),
  ...refuse(
    "a factor on logits, embeddings or residuals",
    [1],
    [
      ...["logit_scale", "logits_scaling", "logits_scale", "embedding_multiplier", "residual_multiplier"],
      ...["embedding_scale", "scale_emb", "lm_head_multiplier", "mlp_multipliers"],
      ...["attention_in_multiplier", "attention_out_multiplier", "key_multiplier", "width_scale"],
    ],
  ),
  ...refuse("scaled embeddings", off, [
    "scale_embedding",
    "scale_embeddings",
    "scale_depth",
    "dim_model_base",
    "use_mup",
  ]),
  ...refuse(
    "another scale of attention",
    [],
    [...["query_pre_attn_scalar", "attention_multiplier", "attention_scale", "attn_scale", "floor_scale"]],
  ),
  ...refuse("attention scaled by position", off, ["attn_temperature_tuning", "llama_4_scaling"]),
  ...refuse("layers without rotary positions", off, [
    ...["no_rope_layers", "no_rope_layer_interval", "nope_layer_interval", "skip_rope_layers"],
  ]),
  ...refuse("rotation of a part of the head under this name", [1], ["rotary_pct", "rope_percent"]),
  ...refuse("a scaled rotation under these names", [1], ["rope_scaling_factor", "rope_scaling_type"]),
  ...refuse("another rotation", off, [
    ...["rotary_dim", "rotary_emb_base", "rope_local_base_freq", "global_rope_theta", "local_rope_theta"],
    ...["rope_interleave", "rope_interleaved", "rope_ratio", "use_mrope"],
  ]),
  ...refuse("other than rotary positions", [true], ["use_rope", "use_rotary", "rotary"]),
  ...refuse("ALiBi", off, ["alibi", "use_alibi"]),
  ...refuse("positions of that kind", ["rope", "rotary", "absolute"], ["position_embedding_type"]),
  ...refuse("windows or chunks of attention by this field", off, [
    ...[
      "sliding_window",
      "use_sliding_window",
      "sliding_window_pattern",
      "layer_types",
      "attention_chunk_size",
    ],
    ...["global_attn_every_n_layers", "local_attention", "attention_layers", "window_size"],
  ]),
  ...refuse("other than causal attention", [true], ["is_causal"]),
  ...refuse("other than causal attention", off, ["use_bidirectional_attention", "is_encoder_decoder"]),
  ...refuse("attention to another sequence", off, ["add_cross_attention"]),
  ...refuse("attention sinks or gates", off, ["use_sinks", "attention_sink", "attn_output_gate", "use_gate"]),
  ...refuse("latent attention", off, [
    ...["q_lora_rank", "kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim"],
  ]),
  ...refuse("sparse attention", off, ["index_topk"]),
  ...refuse("clipped queries, keys, values or activations", off, ["clip_qkv", "swiglu_limit"]),
  ...refuse("pruned heads or layers of their own shape", [], ["pruned_heads", "per_layer_config"]),
  ...refuse("these norms", off, [
    ...["qk_norm", "use_qk_norm", "qk_layernorm", "use_post_norm", "layernorm_zero_centered_gamma"],
  ]),
  ...refuse("parallel attention and feed-forward", off, [
    ...["use_parallel_residual", "parallel_residual", "parallel_attn"],
  ]),
  ...refuse("these biases", off, [
    ...["attention_bias", "mlp_bias", "qkv_bias", "use_qkv_bias", "add_qkv_bias", "use_bias", "bias"],
    ...["attn_bias", "lm_head_bias", "add_bias_linear"],
  ]),
  ...refuse("an activation by this name", [], ["hidden_activation", "mlp_hidden_act"]),
  ...refuse("experts of this kind", off, [
    ...["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts", "num_experts_per_tok"],
    ...["shared_expert_intermediate_size", "n_shared_experts", "num_shared_experts", "first_k_dense_replace"],
    ...["moe_intermediate_size", "interleave_moe_layer_step", "use_routing_bias"],
  ]),
  ...refuse("groups of experts", off.concat(1), ["n_group", "topk_group", "moe_layer_freq"]),
  ...refuse("a factor on the experts", [1], ["routed_scaling_factor", "moe_router_scaling_factor"]),
  ...refuse("router scores of this kind", ["softmax"], ["scoring_func", "topk_method"]),
};
