/**
 * The field tables of the families (lib/models/configFields.ts) and a config of each, for test/models/configFields.test.ts.
 */
import { cohere2Fields, cohereFields } from "../../lib/models/cohere.js";
import type { FieldTable } from "../../lib/models/configFields.js";
import { deepseekV2Fields } from "../../lib/models/deepseekV2.js";
import { deepseekV3Fields } from "../../lib/models/deepseekV3.js";
import { deepseekV32Fields } from "../../lib/models/deepseekV32.js";
import { exaone4Fields } from "../../lib/models/exaone4.js";
import { gemma2Fields } from "../../lib/models/gemma2.js";
import { gemma3Fields } from "../../lib/models/gemma3.js";
import { glm4Fields } from "../../lib/models/glm4.js";
import { glm4MoeFields } from "../../lib/models/glm4Moe.js";
import { gpt2Fields } from "../../lib/models/gpt2.js";
import { gptOssFields } from "../../lib/models/gptOss.js";
import { graniteFields } from "../../lib/models/granite.js";
import { graniteMoeFields } from "../../lib/models/graniteMoe.js";
import { llamaFields } from "../../lib/models/llama.js";
import { mamba2Fields } from "../../lib/models/mamba2.js";
import { ministralFields, mistralFields } from "../../lib/models/mistral.js";
import { mixtralFields } from "../../lib/models/mixtral.js";
import { olmo2Fields } from "../../lib/models/olmo2.js";
import { olmo3Fields } from "../../lib/models/olmo3.js";
import { olmoeFields } from "../../lib/models/olmoe.js";
import { phi3Fields } from "../../lib/models/phi3.js";
import { qwen2Fields } from "../../lib/models/qwen2.js";
import { qwen2MoeFields } from "../../lib/models/qwen2Moe.js";
import { qwen3Fields } from "../../lib/models/qwen3.js";
import { qwen3MoeFields } from "../../lib/models/qwen3Moe.js";
import { smollm3Fields } from "../../lib/models/smollm3.js";
import { stablelmFields } from "../../lib/models/stablelm.js";
import { starcoder2Fields } from "../../lib/models/starcoder2.js";

type Fields = Readonly<Record<string, unknown>>;

const dense = {
  ...{ vocab_size: 32, hidden_size: 64, intermediate_size: 24, num_hidden_layers: 4, num_attention_heads: 4 },
  ...{ num_key_value_heads: 2, head_dim: 16, max_position_embeddings: 64, rms_norm_eps: 1e-5 },
};
const experts = { num_experts_per_tok: 2, moe_intermediate_size: 8 };
const deepseek = {
  ...{ ...dense, ...experts, head_dim: undefined, n_routed_experts: 4, kv_lora_rank: 32, q_lora_rank: 48 },
  ...{ qk_nope_head_dim: 32, qk_rope_head_dim: 16, v_head_dim: 32 },
};
/** Of families with layer norms, whose eps has another name. */
const { rms_norm_eps: _rms, ...layered } = dense;

export interface FamilyTable {
  readonly table: FieldTable;
  /** A config that the family takes. */
  readonly base: Fields;
  /** With these it reads more fields. */
  readonly also?: readonly Fields[];
}

/** By architecture. */
export const families: Readonly<Record<string, FamilyTable>> = {
  CohereForCausalLM: { table: cohereFields, base: { ...layered, model_type: "cohere" } },
  Cohere2ForCausalLM: { table: cohere2Fields, base: { ...layered, model_type: "cohere2" } },
  DeepseekV2ForCausalLM: {
    table: deepseekV2Fields,
    base: { ...deepseek, model_type: "deepseek_v2" },
    also: [{ topk_method: "group_limited_greedy", n_group: 2, topk_group: 1 }, { first_k_dense_replace: 1 }],
  },
  DeepseekV3ForCausalLM: {
    table: deepseekV3Fields,
    base: { ...deepseek, model_type: "deepseek_v3", n_group: 2, topk_group: 1 },
    also: [{ first_k_dense_replace: 0 }],
  },
  DeepseekV32ForCausalLM: {
    table: deepseekV32Fields,
    base: { ...deepseek, model_type: "deepseek_v32", n_group: 2, topk_group: 1 },
    also: [{ first_k_dense_replace: 0 }],
  },
  Exaone4ForCausalLM: {
    table: exaone4Fields,
    base: { ...dense, model_type: "exaone4" },
    also: [{ sliding_window_pattern: 2 }],
  },
  Gemma2ForCausalLM: { table: gemma2Fields, base: { ...dense, model_type: "gemma2" } },
  Gemma3ForCausalLM: { table: gemma3Fields, base: { ...dense, model_type: "gemma3_text" } },
  Glm4ForCausalLM: { table: glm4Fields, base: { ...dense, model_type: "glm4" } },
  Glm4MoeForCausalLM: {
    table: glm4MoeFields,
    base: { ...dense, ...experts, head_dim: 32, model_type: "glm4_moe", n_routed_experts: 4 },
    also: [{ first_k_dense_replace: 0 }],
  },
  GPT2LMHeadModel: {
    table: gpt2Fields,
    base: { model_type: "gpt2", vocab_size: 32, n_embd: 64, n_layer: 4, n_head: 4, n_positions: 64 },
    also: [{ n_positions: undefined, n_ctx: 64 }],
  },
  GptOssForCausalLM: {
    table: gptOssFields,
    base: { ...dense, model_type: "gpt_oss", num_local_experts: 4, num_experts_per_tok: 2 },
  },
  GraniteForCausalLM: { table: graniteFields, base: { ...dense, model_type: "granite" } },
  GraniteMoeForCausalLM: {
    table: graniteMoeFields,
    base: { ...dense, model_type: "granitemoe", num_local_experts: 4, num_experts_per_tok: 2 },
  },
  LlamaForCausalLM: { table: llamaFields, base: { ...dense, model_type: "llama" } },
  MistralForCausalLM: { table: mistralFields, base: { ...dense, model_type: "mistral" } },
  MinistralForCausalLM: { table: ministralFields, base: { ...dense, model_type: "ministral" } },
  Mamba2ForCausalLM: {
    table: mamba2Fields,
    base: {
      ...{ model_type: "mamba2", vocab_size: 32, hidden_size: 64, num_hidden_layers: 4, num_heads: 8 },
      ...{ head_dim: 16, n_groups: 2, state_size: 32 },
    },
  },
  MixtralForCausalLM: {
    table: mixtralFields,
    base: { ...dense, model_type: "mixtral", num_local_experts: 4, num_experts_per_tok: 2 },
  },
  Olmo2ForCausalLM: { table: olmo2Fields, base: { ...dense, model_type: "olmo2" } },
  Olmo3ForCausalLM: { table: olmo3Fields, base: { ...dense, model_type: "olmo3" } },
  Phi3ForCausalLM: { table: phi3Fields, base: { ...dense, model_type: "phi3" } },
  Qwen2ForCausalLM: {
    table: qwen2Fields,
    base: { ...dense, model_type: "qwen2" },
    also: [{ use_sliding_window: true }],
  },
  OlmoeForCausalLM: {
    table: olmoeFields,
    base: { ...dense, model_type: "olmoe", num_experts: 4, num_experts_per_tok: 2 },
  },
  Qwen2MoeForCausalLM: {
    table: qwen2MoeFields,
    base: {
      ...{ ...dense, ...experts, model_type: "qwen2_moe", num_experts: 4 },
      shared_expert_intermediate_size: 16,
    },
    also: [
      { use_sliding_window: true, layer_types: new Array(4).fill("sliding_attention"), mlp_only_layers: [1] },
    ],
  },
  Qwen3ForCausalLM: {
    table: qwen3Fields,
    base: { ...dense, model_type: "qwen3" },
    also: [{ use_sliding_window: true }],
  },
  Qwen3MoeForCausalLM: {
    table: qwen3MoeFields,
    base: { ...dense, ...experts, model_type: "qwen3_moe", num_experts: 4 },
    also: [{ use_sliding_window: true, mlp_only_layers: [1] }],
  },
  SmolLM3ForCausalLM: {
    table: smollm3Fields,
    base: { ...dense, model_type: "smollm3" },
    also: [{ use_sliding_window: true }],
  },
  StableLmForCausalLM: {
    table: stablelmFields,
    base: { ...layered, head_dim: 32, model_type: "stablelm" },
  },
  Starcoder2ForCausalLM: { table: starcoder2Fields, base: { ...layered, model_type: "starcoder2" } },
};
