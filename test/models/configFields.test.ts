// Contract: every field of a config.json is used, known to change no logits, refused by name, or warned about; the table of a
// family names exactly the fields that its reader reads; null and absence say what they say in transformers.
import { describe, expect, it } from "vitest";
import { quantizationFields } from "../../lib/quantization/quantization.js";
import { findFamily, supportedArchitectures } from "../../lib/models/registry.js";
import type { ModelDefinition } from "../../lib/models/model.js";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import { families } from "../support/familyTables.js";
import { collectWarnings } from "../support/warnings.js";

type Fields = Readonly<Record<string, unknown>>;

/** Its text_config is that of Gemma3ForCausalLM: test/models/gemma3.test.ts. */
const withImages = "Gemma3ForConditionalGeneration";

function define(architecture: string, json: Fields): ModelDefinition {
  return findFamily(architecture, "config.json")(new ConfigReader("config.json", json));
}

function defineWith(architecture: string, fields: Fields): ModelDefinition {
  return define(architecture, { ...families[architecture]!.base, ...fields });
}

/** The error of a config, which has to name the file and the text. */
function expectRefused(architecture: string, fields: Fields, text: string): void {
  expect(() => defineWith(architecture, fields)).toThrowError(
    expect.objectContaining({ code: "ERR_CHECKPOINT_CONFIG", file: "config.json" }),
  );
  expect(() => defineWith(architecture, fields)).toThrowError(text);
}

/** Names of the fields that a family asks for, apart from those that are checked for every family. */
function fieldsRead(architecture: string, json: Fields): Set<string> {
  const read = new Set<string>();
  const spy = new Proxy(json, {
    ownKeys: () => [],
    getOwnPropertyDescriptor: (target, name) => {
      read.add(String(name));
      return Reflect.getOwnPropertyDescriptor(target, name);
    },
  });
  define(architecture, spy);
  read.delete("model_type");
  return read;
}

describe.each(supportedArchitectures.filter((name) => name !== withImages))("%s", (architecture) => {
  const { table, base, also = [] } = families[architecture]!;

  it("its table names the fields that are read, each once", () => {
    const read = [{}, ...also].flatMap((fields) => [...fieldsRead(architecture, { ...base, ...fields })]);
    expect([...new Set(read)].sort()).toEqual([...table.used].sort());
    const all = [...table.used, ...table.irrelevant, ...Object.keys(table.refused)];
    expect(new Set(all).size).toBe(all.length);
  });

  it("what changes no logits is taken silently, an unknown field with one warning that names it", async () => {
    const notes = {
      torch_dtype: "float16",
      use_cache: true,
      transformers_version: "4.57.0",
      _name_or_path: "x",
    };
    const ids = { pad_token_id: 0, eos_token_id: [1], top_k: 50, quantization_config: null, brand_new: null };
    expect(await collectWarnings(() => defineWith(architecture, { ...notes, ...ids }))).toEqual([]);
    const [warning, ...others] = await collectWarnings(() =>
      defineWith(architecture, { brand_new: 1, other_new: "x" }),
    );
    expect(others).toEqual([]);
    expect(warning).toMatchObject({ name: "WarploopWarning", code: "WARN_UNKNOWN_FIELD" });
    expect(warning!.message).toMatch(/^config\.json: .* "brand_new", "other_new"/);
    const [nested] = await collectWarnings(() =>
      defineWith(architecture, { text_config: { eos_token_id: 1 }, brand_new: 1 }),
    );
    expect(nested!.message).toMatch(/ignored: "text_config" \(but for its token ids\), "brand_new"\./);
  });

  const foreign: readonly (readonly [string, unknown])[] = [
    ["attn_logit_softcapping", 50],
    ["final_logit_softcapping", 30],
    ["query_pre_attn_scalar", 256],
    ["logit_scale", 0.0625],
    ["embedding_multiplier", 12],
    ["no_rope_layers", [1, 0]],
    ["attention_chunk_size", 8192],
    ["alibi", true],
    ["rotary_pct", 0.25],
    ["rope_scaling_factor", 2],
    ["is_causal", false],
    ["is_encoder_decoder", true],
    ["add_cross_attention", true],
    ["pruned_heads", { 0: [1] }],
    ["per_layer_config", { 1: { head_dim: 32 } }],
    ["hidden_activation", "gelu"],
    ["qkv_bias", true],
    ["shared_expert_intermediate_size", 64],
    ["kv_lora_rank", 512],
    ["scoring_func", "sigmoid"],
  ];
  const isOwn = ([field, value]: (typeof foreign)[number]) =>
    table.used.includes(field) || table.refused[field]?.neutral.includes(value) === true;
  it.each(foreign.filter((row) => !isOwn(row)))("%s is refused by name", (field, value) => {
    expectRefused(architecture, { [field]: value }, `config.json: ${field}: expected`);
    expect(() => defineWith(architecture, { [field]: null })).not.toThrow();
  });

  it("a value that says the same as nothing is taken", async () => {
    const neutral = {
      final_logit_softcapping: null,
      logit_scale: 1,
      pruned_heads: {},
      is_encoder_decoder: false,
      use_mrope: false, // Qwen2.5 says so
    };
    expect(await collectWarnings(() => defineWith(architecture, { ...neutral, is_causal: true }))).toEqual(
      [],
    );
  });

  it("how weights are stored is not its business", async () => {
    for (const field of quantizationFields) {
      const fields = { [field]: { quant_method: "awq", bits: 4 } };
      expect(await collectWarnings(() => defineWith(architecture, fields))).toEqual([]);
    }
  });

  it("another model type is refused", () => {
    expectRefused(architecture, { model_type: "falcon" }, "model_type: expected one of");
    expect(() => defineWith(architecture, { model_type: undefined })).not.toThrow();
  });
});

/** A field of one family that its own forward pass does not have. */
const refusals: readonly { architecture: string; fields: Fields; text: string }[] = [
  { architecture: "LlamaForCausalLM", fields: { sliding_window: 16 }, text: "sliding_window" },
  { architecture: "LlamaForCausalLM", fields: { num_local_experts: 8 }, text: "num_local_experts" },
  {
    architecture: "LlamaForCausalLM",
    fields: { layer_types: ["full_attention", "sliding_attention", "full_attention", "full_attention"] },
    text: 'layer_types: expected "full_attention" alone',
  },
  { architecture: "CohereForCausalLM", fields: { use_qk_norm: true }, text: "use_qk_norm" },
  { architecture: "CohereForCausalLM", fields: { logit_scale: 0 }, text: "logit_scale: expected a positive" },
  { architecture: "CohereForCausalLM", fields: { sliding_window: 16 }, text: "sliding_window" },
  { architecture: "Cohere2ForCausalLM", fields: { use_parallel_block: false }, text: "use_parallel_block" },
  {
    architecture: "Cohere2ForCausalLM",
    fields: { position_embedding_type: "alibi" },
    text: "position_embedding_type",
  },
  {
    architecture: "Cohere2ForCausalLM",
    fields: { sliding_window: null, layer_types: new Array(4).fill("sliding_attention") },
    text: "because no field gives the window",
  },
  {
    architecture: "Exaone4ForCausalLM",
    fields: { sliding_window_pattern: "LLLG" },
    text: "sliding_window_pattern: expected a positive integer",
  },
  { architecture: "Olmo3ForCausalLM", fields: { sliding_window: null }, text: "sliding_window" },
  { architecture: "StableLmForCausalLM", fields: { qk_layernorm: true }, text: "qk_layernorm" },
  { architecture: "Starcoder2ForCausalLM", fields: { norm_type: "rms" }, text: "another kind of norm" },
  { architecture: "Starcoder2ForCausalLM", fields: { hidden_act: "silu" }, text: "hidden_act" },
  {
    architecture: "MinistralForCausalLM",
    fields: { rope_parameters: { rope_type: "yarn", factor: 4, llama_4_scaling_beta: 0.1 } },
    text: "llama_4_scaling_beta",
  },
  { architecture: "MistralForCausalLM", fields: { attention_bias: true }, text: "attention_bias" },
  { architecture: "MistralForCausalLM", fields: { use_sliding_window: false }, text: "use_sliding_window" },
  { architecture: "Mamba2ForCausalLM", fields: { rms_norm: false }, text: "without its norm" },
  { architecture: "Mamba2ForCausalLM", fields: { hidden_act: "gelu" }, text: "hidden_act" },
  { architecture: "MixtralForCausalLM", fields: { mlp_bias: true }, text: "mlp_bias" },
  { architecture: "MixtralForCausalLM", fields: { num_experts: 8 }, text: "num_local_experts is 4" },
  { architecture: "Glm4ForCausalLM", fields: { rope_interleave: true }, text: "rope_interleave" },
  { architecture: "Olmo2ForCausalLM", fields: { clip_qkv: 8 }, text: "clip_qkv" },
  { architecture: "Olmo2ForCausalLM", fields: { sliding_window: 4096 }, text: "sliding_window" },
  { architecture: "Phi3ForCausalLM", fields: { attention_bias: true }, text: "attention_bias" },
  { architecture: "Phi3ForCausalLM", fields: { full_attn_mod: 2 }, text: "full_attn_mod" },
  {
    architecture: "Phi3ForCausalLM",
    fields: { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1] } },
    text: "original_max_position_embeddings",
  },
  { architecture: "Qwen2ForCausalLM", fields: { attention_bias: true }, text: "attention_bias" },
  { architecture: "Qwen2ForCausalLM", fields: { use_mrope: true }, text: "use_mrope" },
  {
    architecture: "Qwen2ForCausalLM",
    fields: { layer_types: new Array(4).fill("sliding_attention") },
    text: "because use_sliding_window is not true",
  },
  { architecture: "Qwen3ForCausalLM", fields: { layer_types: ["full_attention"] }, text: "of the 4 layers" },
  {
    architecture: "Qwen3ForCausalLM",
    fields: { layer_types: ["full_attention", "full_attention", "full_attention", "chunked_attention"] },
    text: 'layer_types: expected a list of "full_attention" or "sliding_attention"',
  },
  {
    architecture: "Qwen3ForCausalLM",
    fields: { layer_types: new Array(4).fill("sliding_attention"), use_sliding_window: false },
    text: "because use_sliding_window is not true",
  },
  {
    architecture: "Qwen3MoeForCausalLM",
    fields: { layer_types: new Array(4).fill("sliding_attention"), sliding_window: 8 },
    text: "because use_sliding_window is not true",
  },
  {
    architecture: "Qwen3MoeForCausalLM",
    fields: { use_sliding_window: true, sliding_window: 8, max_window_layers: 2 },
    text: "max_window_layers",
  },
  { architecture: "OlmoeForCausalLM", fields: { clip_qkv: 0 }, text: "clip_qkv: expected a positive" },
  {
    architecture: "Qwen2MoeForCausalLM",
    fields: { use_sliding_window: true },
    text: "use_sliding_window: expected false or nothing without layer_types",
  },
  {
    architecture: "Qwen2MoeForCausalLM",
    fields: { layer_types: new Array(4).fill("sliding_attention") },
    text: "because use_sliding_window is not true",
  },
  {
    architecture: "SmolLM3ForCausalLM",
    fields: { no_rope_layers: [1, 0] },
    text: "of the 4 layers, got [1, 0]",
  },
  { architecture: "SmolLM3ForCausalLM", fields: { no_rope_layers: [1, 1, 1, 2] }, text: "expected 0 or 1" },
  {
    architecture: "SmolLM3ForCausalLM",
    fields: { use_sliding_window: true, layer_types: new Array(4).fill("sliding_attention") },
    text: "because no field gives the window",
  },
  {
    architecture: "GraniteForCausalLM",
    fields: { logits_scaling: 0 },
    text: "logits_scaling: expected a positive",
  },
  {
    architecture: "GraniteMoeForCausalLM",
    fields: { logits_scaling: 1e-39 },
    text: "logits_scaling: expected a positive number of 32 bits",
  },
  {
    architecture: "GraniteMoeForCausalLM",
    fields: { embedding_multiplier: 1e39 },
    text: "embedding_multiplier: expected a finite number of 32 bits",
  },
  {
    architecture: "Glm4MoeForCausalLM",
    fields: { routed_scaling_factor: -1e39 },
    text: "routed_scaling_factor: expected a finite number of 32 bits",
  },
  { architecture: "Mamba2ForCausalLM", fields: { time_step_limit: [1e39, 1e40] }, text: "time_step_limit" },
  { architecture: "GraniteForCausalLM", fields: { residual_multiplier: "0.2" }, text: "residual_multiplier" },
  { architecture: "GraniteForCausalLM", fields: { num_local_experts: 8 }, text: "num_local_experts" },
  { architecture: "DeepseekV3ForCausalLM", fields: { scoring_func: "softmax" }, text: "scoring_func" },
  {
    architecture: "DeepseekV3ForCausalLM",
    fields: { kv_lora_rank: 512, qk_rope_head_dim: 80 },
    text: "with qk_rope_head_dim (80)",
  },
  {
    architecture: "DeepseekV3ForCausalLM",
    fields: { index_topk: 2048 },
    text: "runs here without sparse attention",
  },
  { architecture: "DeepseekV32ForCausalLM", fields: { q_lora_rank: null }, text: "q_lora_rank" },
  { architecture: "DeepseekV32ForCausalLM", fields: { index_n_heads: 129 }, text: "index_n_heads" },
  { architecture: "DeepseekV32ForCausalLM", fields: { index_topk: 4097 }, text: "index_topk" },
  ...[16, 72, 272].map((index_head_dim) => ({
    ...{ architecture: "DeepseekV32ForCausalLM", fields: { index_head_dim }, text: "index_head_dim" },
  })),
  {
    architecture: "DeepseekV2ForCausalLM",
    fields: { norm_topk_prob: true, routed_scaling_factor: 16 },
    text: "routed_scaling_factor: expected 1 with norm_topk_prob",
  },
  { architecture: "DeepseekV2ForCausalLM", fields: { topk_method: "noaux_tc" }, text: "topk_method" },
  { architecture: "Gemma2ForCausalLM", fields: { attn_logit_softcapping: 0 }, text: "a positive number" },
  { architecture: "Gemma2ForCausalLM", fields: { final_logit_softcapping: -1 }, text: "a positive number" },
  { architecture: "Gemma2ForCausalLM", fields: { query_pre_attn_scalar: 0 }, text: "a positive number" },
  { architecture: "Gemma2ForCausalLM", fields: { hidden_activation: "relu" }, text: "hidden_activation" },
  { architecture: "Gemma3ForCausalLM", fields: { sliding_window: null }, text: "sliding_window" },
  { architecture: "Gemma3ForCausalLM", fields: { rope_local_base_freq: 0 }, text: "rope_local_base_freq" },
  {
    architecture: "Gemma3ForCausalLM",
    fields: { rope_local_base_freq: 1e4, rope_parameters: { sliding_attention: { rope_theta: 500 } } },
    text: "rope_local_base_freq is 10000, but rope_parameters.sliding_attention.rope_theta is 500",
  },
  { architecture: "Gemma2ForCausalLM", fields: { use_bidirectional_attention: true }, text: "causal" },
  {
    architecture: "Gemma2ForCausalLM",
    fields: { sliding_window: null, layer_types: new Array(4).fill("sliding_attention") },
    text: "because no field gives the window",
  },
  { architecture: "GPT2LMHeadModel", fields: { hidden_size: 32 }, text: "64, but hidden_size is 32" },
  { architecture: "GptOssForCausalLM", fields: { experts_per_token: 3 }, text: "but experts_per_token is 3" },
  { architecture: "GptOssForCausalLM", fields: { swiglu_limit: 0 }, text: "a positive number" },
  { architecture: "GPT2LMHeadModel", fields: { activation_function: "relu" }, text: "activation_function" },
  { architecture: "GPT2LMHeadModel", fields: { scale_attn_weights: null }, text: "scale_attn_weights" },
];

describe("fields of one family", () => {
  it.each(refusals)("$architecture refuses $fields", ({ architecture, fields, text }) =>
    expectRefused(architecture, fields, text),
  );

  it("a window that is switched off may be anything", () => {
    for (const architecture of [
      "Qwen2ForCausalLM",
      "Qwen3ForCausalLM",
      "Qwen3MoeForCausalLM",
      "SmolLM3ForCausalLM",
    ]) {
      const fields = { use_sliding_window: false, sliding_window: 0, max_window_layers: -1 };
      expect(() => defineWith(architecture, fields)).not.toThrow();
    }
  });

  it("absence says what the class of the config has, null what transformers makes of it", () => {
    const kvHeads = (architecture: string, value: unknown) =>
      defineWith(architecture, { num_attention_heads: 32, hidden_size: 512, num_key_value_heads: value })
        .shape;
    const without = (architecture: string, fields: Fields, name: string) => {
      const { [name]: _left, ...rest } = { ...families[architecture]!.base, ...fields };
      return define(architecture, rest).shape;
    };
    const wide = { num_attention_heads: 32, hidden_size: 512 };
    expect(kvHeads("MistralForCausalLM", null).numKvHeads).toBe(32);
    expect(without("LlamaForCausalLM", wide, "num_key_value_heads").numKvHeads).toBe(32);
    expect(without("MistralForCausalLM", wide, "num_key_value_heads").numKvHeads).toBe(8);
    expect(without("Qwen2ForCausalLM", wide, "num_key_value_heads").numKvHeads).toBe(32);
    expect(kvHeads("Qwen2ForCausalLM", null).numKvHeads).toBe(32);
    expect(without("Qwen2ForCausalLM", {}, "head_dim").headDim).toBe(16);
    expect(without("Qwen2MoeForCausalLM", wide, "num_key_value_heads").numKvHeads).toBe(16);
    expect(without("Qwen3MoeForCausalLM", wide, "num_key_value_heads").numKvHeads).toBe(4);
    expect(without("Gemma2ForCausalLM", wide, "num_key_value_heads").numKvHeads).toBe(4);
    expect(without("Gemma2ForCausalLM", {}, "head_dim").headDim).toBe(256);
    expect(without("SmolLM3ForCausalLM", wide, "num_key_value_heads").numKvHeads).toBe(4);
    expect(without("Qwen3ForCausalLM", {}, "head_dim").headDim).toBe(128);
    expect(defineWith("Qwen3ForCausalLM", { head_dim: null }).shape.headDim).toBe(16);
    expect(without("Qwen3MoeForCausalLM", {}, "head_dim").headDim).toBe(16);
  });
});
