// Contract: a family reads config.json into shapes, a weight table and a context length; a field that is missing or makes no
// sense is a CheckpointError ERR_CHECKPOINT_CONFIG that names file and field.
import { describe, expect, it } from "vitest";
import { chooseContextLength } from "../../lib/models/limits.js";
import type { ModelDefinition } from "../../lib/models/model.js";
import { architectureOf, findFamily, supportedArchitectures } from "../../lib/models/registry.js";
import type { ModelConfigJson } from "../../lib/checkpoint/config.js";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";

type Fields = Readonly<Record<string, unknown>>;

const llama = {
  vocab_size: 32,
  hidden_size: 64,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
};
const qwen3Moe = {
  ...llama,
  head_dim: 32,
  num_experts: 4,
  num_experts_per_tok: 2,
  moe_intermediate_size: 8,
};
const qwen2Moe = { ...qwen3Moe, shared_expert_intermediate_size: 16 };
const olmoe = { ...llama, num_experts: 4, num_experts_per_tok: 2 };
const mixtral = { ...llama, num_local_experts: 4, num_experts_per_tok: 2 };
const glm4Moe = {
  ...{ ...llama, hidden_size: 128, n_routed_experts: 8, num_experts_per_tok: 2, moe_intermediate_size: 8 },
};
const deepseek = { ...glm4Moe, kv_lora_rank: 32, qk_nope_head_dim: 32, qk_rope_head_dim: 16 };
const gpt2 = { vocab_size: 32, n_embd: 64, n_layer: 2, n_head: 4, n_positions: 64 };
const mamba2 = {
  ...{ vocab_size: 32, hidden_size: 64, num_hidden_layers: 2, num_heads: 8, head_dim: 16, n_groups: 2 },
  state_size: 32,
};
const bases: Readonly<Record<string, Fields>> = {
  CohereForCausalLM: llama,
  Cohere2ForCausalLM: llama,
  DeepseekV2ForCausalLM: deepseek,
  DeepseekV3ForCausalLM: deepseek,
  DeepseekV32ForCausalLM: deepseek,
  Exaone4ForCausalLM: llama,
  Gemma2ForCausalLM: llama,
  Gemma3ForCausalLM: llama,
  Gemma3ForConditionalGeneration: { text_config: llama },
  Glm4ForCausalLM: { ...llama, head_dim: 16 },
  Glm4MoeForCausalLM: glm4Moe,
  GPT2LMHeadModel: gpt2,
  GptOssForCausalLM: mixtral,
  GraniteForCausalLM: llama,
  GraniteMoeForCausalLM: mixtral,
  LlamaForCausalLM: llama,
  MistralForCausalLM: llama,
  MinistralForCausalLM: llama,
  Mamba2ForCausalLM: mamba2,
  MixtralForCausalLM: mixtral,
  Olmo2ForCausalLM: llama,
  Olmo3ForCausalLM: llama,
  OlmoeForCausalLM: olmoe,
  Phi3ForCausalLM: llama,
  Qwen2ForCausalLM: llama,
  Qwen2MoeForCausalLM: qwen2Moe,
  Qwen3ForCausalLM: llama,
  Qwen3MoeForCausalLM: qwen3Moe,
  SmolLM3ForCausalLM: llama,
  StableLmForCausalLM: llama,
  Starcoder2ForCausalLM: llama,
};

function define(architecture: string, fields: Fields = {}): ModelDefinition {
  const json = { ...bases[architecture], ...fields };
  return findFamily(architecture, "config.json")(new ConfigReader("config.json", json));
}

/** Checkpoint names of a slot. */
function namesOf({ weights }: ModelDefinition, slot: string): readonly string[] {
  return weights.rows.filter((row) => row.slot === slot).flatMap((row) => row.from);
}

describe("registry", () => {
  it("knows every architecture of this table", () => {
    expect([...supportedArchitectures].sort()).toEqual(Object.keys(bases).sort());
  });

  it("takes the class of the model type where no architecture is named", () => {
    const named = (json: Fields) => {
      const reader = new ConfigReader("config.json", json);
      return () => architectureOf({ architecture: undefined, reader } as unknown as ModelConfigJson);
    };
    const types = (
      "cohere cohere2 deepseek_v2 deepseek_v3 deepseek_v32 exaone4 gemma2 gemma3_text gemma3 glm4 glm4_moe gpt2 gpt_oss " +
      "granite granitemoe " +
      "llama mistral ministral mamba2 mixtral olmo2 olmo3 olmoe phi3 qwen2 qwen2_moe qwen3 qwen3_moe smollm3 stablelm " +
      "starcoder2"
    ).split(" ");
    expect(types.map((model_type) => named({ model_type })())).toEqual(supportedArchitectures);
    const code = "ERR_CHECKPOINT_CONFIG";
    const message = expect.stringContaining(
      "architectures: expected a list with the name of a class",
    ) as unknown;
    expect(named({})).toThrow(expect.objectContaining({ code, message }));
    expect(named({ model_type: 5 })).toThrow(expect.objectContaining({ code }));
    const unsupported = { code: "ERR_UNSUPPORTED_ARCHITECTURE" };
    for (const model_type of ["mamba", "toString", ""])
      expect(named({ model_type })).toThrow(expect.objectContaining(unsupported));
  });

  it("lists what is supported when it does not know an architecture", () => {
    for (const name of ["MambaForCausalLM", "toString", ""]) {
      expect(() => findFamily(name, "x/config.json")).toThrowError(
        expect.objectContaining({
          code: "ERR_UNSUPPORTED_ARCHITECTURE",
          file: "x/config.json",
          message: expect.stringContaining("LlamaForCausalLM, MistralForCausalLM") as unknown,
        }),
      );
    }
  });
});

describe("fields", () => {
  it("head_dim is hidden_size / num_attention_heads unless it is given", () => {
    expect(define("LlamaForCausalLM").shape).toMatchObject({ headDim: 16, valueDim: 16, numKvHeads: 2 });
    expect(define("Qwen3MoeForCausalLM").shape).toMatchObject({
      headDim: 32,
      numExperts: 4,
      expertsPerToken: 2,
    });
    expect(define("GPT2LMHeadModel").shape).toMatchObject({ headDim: 16, numKvHeads: 4, numExperts: 0 });
  });

  it("by the duality with attention, c of Mamba-2 are queries, b keys and x values", () => {
    expect(define("Mamba2ForCausalLM").shape).toMatchObject({
      ...{ numHeads: 8, numKvHeads: 2, headDim: 32, valueDim: 16 },
    });
  });

  it("biases are in the table only when the config says so", () => {
    expect(namesOf(define("LlamaForCausalLM"), "qkvBias")).toEqual([]);
    const withBiases = define("LlamaForCausalLM", { attention_bias: true, mlp_bias: true });
    expect(namesOf(withBiases, "qkvBias")).toHaveLength(3);
    expect(namesOf(withBiases, "attentionOutputBias")).toHaveLength(1);
    expect(namesOf(withBiases, "gateUpBias")).toHaveLength(2);
    expect(namesOf(withBiases, "downBias")).toHaveLength(1);
    const qwen2 = define("Qwen2ForCausalLM");
    expect(namesOf(qwen2, "qkvBias")).toHaveLength(3);
    expect(namesOf(qwen2, "attentionOutputBias")).toEqual([]);
  });

  it("a tied head shares the embedding", () => {
    const tiedTo = (definition: ModelDefinition) =>
      definition.weights.rows.find(({ slot }) => slot === "head")?.tiedTo?.when;
    expect(tiedTo(define("Qwen3ForCausalLM", { tie_word_embeddings: true }))).toBe("always");
    expect(tiedTo(define("Qwen3ForCausalLM"))).toBe("missing");
    expect(tiedTo(define("Gemma2ForCausalLM"))).toBe("always");
    expect(tiedTo(define("SmolLM3ForCausalLM"))).toBe("always");
    expect(tiedTo(define("SmolLM3ForCausalLM", { tie_word_embeddings: false }))).toBe("missing");
    expect(tiedTo(define("GPT2LMHeadModel"))).toBe("always");
  });

  it("OLMo 2 has norms behind its parts, none in front, and weights of norms for all heads", () => {
    const olmo2 = define("Olmo2ForCausalLM");
    const layer = "model.layers.{layer}";
    expect(namesOf(olmo2, "attentionPostNorm")).toEqual([`${layer}.post_attention_layernorm.weight`]);
    expect(namesOf(olmo2, "mlpPostNorm")).toEqual([`${layer}.post_feedforward_layernorm.weight`]);
    for (const slot of ["attentionNorm", "mlpNorm"]) expect(namesOf(olmo2, slot)).toEqual([]);
    const shapesOf = (name: string) => olmo2.weights.rows.find(({ slot }) => slot === name)?.shapes;
    expect([shapesOf("qNorm"), shapesOf("kNorm")]).toEqual([[[64]], [[32]]]);
  });

  it("Qwen3-MoE keeps the layers dense that it says are dense", () => {
    const { weights } = define("Qwen3MoeForCausalLM", {
      num_hidden_layers: 6,
      decoder_sparse_step: 2,
      mlp_only_layers: [3],
    });
    const layersOf = (name: string) => weights.rows.find(({ slot }) => slot === name)?.onlyLayers;
    expect(layersOf("router")).toEqual([1, 5]);
    expect(layersOf("gateUp")).toEqual([0, 2, 3, 4]);
  });

  it("the shared expert of Qwen2-MoE has a gate, which is a row of the router", () => {
    const definition = define("Qwen2MoeForCausalLM");
    const mlp = "model.layers.{layer}.mlp";
    expect(namesOf(definition, "router")).toEqual([`${mlp}.gate.weight`, `${mlp}.shared_expert_gate.weight`]);
    expect(namesOf(definition, "sharedDown")).toEqual([`${mlp}.shared_expert.down_proj.weight`]);
    expect(namesOf(definition, "qkvBias")).toHaveLength(3);
    expect(namesOf(define("Qwen2MoeForCausalLM", { qkv_bias: false }), "qkvBias")).toEqual([]);
  });

  it("GLM-4.5 is dense in its first layers, and its shared experts are one", () => {
    const { weights } = define("Glm4MoeForCausalLM", {
      ...{ num_hidden_layers: 4, first_k_dense_replace: 2, n_shared_experts: 3, attention_bias: true },
    });
    const row = (name: string) => weights.rows.find(({ slot }) => slot === name);
    expect(row("router")?.onlyLayers).toEqual([2, 3]);
    expect(row("gateUp")?.onlyLayers).toEqual([0, 1]);
    expect(row("sharedDown")?.shapes).toEqual([[128, 24]]);
    expect([row("qkvBias")?.from.length, row("attentionOutputBias")]).toEqual([3, undefined]);
    const none = define("Glm4MoeForCausalLM", { n_shared_experts: 0 });
    expect(namesOf(none, "sharedDown")).toEqual([]);
  });

  it("n_inner of GPT-2 is 4 n_embd when it is null", () => {
    const shapesOfUp = (fields: Fields) =>
      define("GPT2LMHeadModel", fields).weights.rows.find(({ slot }) => slot === "up")?.shapes;
    expect(shapesOfUp({ n_inner: null })).toEqual([[64, 256]]);
    expect(shapesOfUp({ n_inner: 48 })).toEqual([[64, 48]]);
  });
});

const badFields: readonly { name: string; architecture: string; fields: Fields; message: string }[] = [
  {
    name: "missing",
    architecture: "LlamaForCausalLM",
    fields: { hidden_size: undefined },
    message: "hidden_size",
  },
  { name: "a string", architecture: "LlamaForCausalLM", fields: { vocab_size: "32" }, message: "vocab_size" },
  {
    name: "heads that do not divide",
    architecture: "LlamaForCausalLM",
    fields: { num_key_value_heads: 3 },
    message: "num_key_value_heads",
  },
  {
    name: "a head of no whole width",
    architecture: "LlamaForCausalLM",
    fields: { hidden_size: 66 },
    message: "num_attention_heads",
  },
  {
    name: "a head that attention does not take",
    architecture: "LlamaForCausalLM",
    fields: { head_dim: 24 },
    message: "multiple of 16",
  },
  {
    name: "more layers than any model",
    architecture: "Qwen3ForCausalLM",
    fields: { num_hidden_layers: 1e9 },
    message: "num_hidden_layers",
  },
  {
    name: "more experts per token than experts",
    architecture: "MixtralForCausalLM",
    fields: { num_experts_per_tok: 5 },
    message: "num_experts_per_tok",
  },
  {
    name: "more experts than any model",
    architecture: "Qwen3MoeForCausalLM",
    fields: { num_experts: 1e9 },
    message: "num_experts",
  },
  {
    name: "groups that do not divide the experts",
    architecture: "Glm4MoeForCausalLM",
    fields: { n_group: 3 },
    message: "n_group: expected a divisor of n_routed_experts (8)",
  },
  {
    name: "more groups of a token than groups",
    architecture: "Glm4MoeForCausalLM",
    fields: { n_group: 2, topk_group: 3 },
    message: "topk_group: expected at most n_group (2)",
  },
  {
    name: "more experts per token than its groups have",
    architecture: "Glm4MoeForCausalLM",
    fields: { n_group: 4, topk_group: 2, num_experts_per_tok: 5 },
    message: "num_experts_per_tok: expected an integer from 1 to 4",
  },
  {
    name: "more prediction layers than any model",
    architecture: "Glm4MoeForCausalLM",
    fields: { num_nextn_predict_layers: 1e9 },
    message: "num_nextn_predict_layers",
  },
  {
    name: "another activation",
    architecture: "MixtralForCausalLM",
    fields: { hidden_act: "relu" },
    message: "hidden_act",
  },
  {
    name: "an unknown rope type",
    architecture: "LlamaForCausalLM",
    fields: { rope_scaling: { rope_type: "x" } },
    message: "rope_scaling",
  },
  {
    name: "rope without its factor",
    architecture: "LlamaForCausalLM",
    fields: { rope_scaling: { type: "linear" } },
    message: "factor",
  },
  {
    name: "heads that are not expand * hidden_size",
    architecture: "Mamba2ForCausalLM",
    fields: { expand: 3 },
    message: "num_heads: expected heads of 16 channels (head_dim) that are 192 in all",
  },
  {
    name: "groups that do not divide the heads",
    architecture: "Mamba2ForCausalLM",
    fields: { n_groups: 3 },
    message: "n_groups: expected a divisor of num_heads (8)",
  },
  {
    name: "a state that the scan does not take",
    architecture: "Mamba2ForCausalLM",
    fields: { state_size: 512 },
    message: "state_size",
  },
  {
    name: "more taps than the convolution has",
    architecture: "Mamba2ForCausalLM",
    fields: { conv_kernel: 9 },
    message: "conv_kernel",
  },
  {
    name: "limits out of order",
    architecture: "Mamba2ForCausalLM",
    fields: { time_step_limit: [0.5, 0.1] },
    message: "time_step_limit: expected two numbers from 0 on, in order, the first finite, got [0.5, 0.1]",
  },
  { name: "GPT-2 heads", architecture: "GPT2LMHeadModel", fields: { n_head: 3 }, message: "n_head" },
];

describe("a bad config names file and field", () => {
  it.each(badFields)("$name", ({ architecture, fields, message }) => {
    const about = (text: string) => expect.stringContaining(text) as unknown;
    expect(() => define(architecture, fields)).toThrowError(
      expect.objectContaining({
        code: "ERR_CHECKPOINT_CONFIG",
        file: "config.json",
        message: about(message),
      }),
    );
    expect(() => define(architecture, fields)).toThrowError("config.json");
  });
});

describe("context length", () => {
  const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 64 };
  const cases: readonly {
    name: string;
    architecture: string;
    fields: Fields;
    trained: number;
    longest: number;
  }[] = [
    { name: "plain rope", architecture: "LlamaForCausalLM", fields: {}, trained: 64, longest: 64 },
    {
      name: "yarn",
      architecture: "Qwen3ForCausalLM",
      fields: { rope_scaling: yarn },
      trained: 64,
      longest: 256,
    },
    {
      name: "theta in rope_parameters",
      architecture: "Qwen3ForCausalLM",
      fields: { rope_parameters: { rope_type: "default", rope_theta: 5e5 } },
      trained: 64,
      longest: 64,
    },
    { name: "learned positions", architecture: "GPT2LMHeadModel", fields: {}, trained: 64, longest: 64 },
  ];

  it.each(cases)("$name", ({ architecture, fields, trained, longest }) => {
    const definition = define(architecture, fields);
    expect(chooseContextLength(definition, undefined)).toBe(trained);
    expect(chooseContextLength(definition, longest)).toBe(longest);
    for (const bad of [longest + 1, 1, 0, -1, 1.5, NaN]) {
      expect(() => chooseContextLength(definition, bad)).toThrowError(
        expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }),
      );
    }
  });

  it("of a model without positions is what the caller asks for", () => {
    const definition = define("Mamba2ForCausalLM");
    expect(chooseContextLength(definition, undefined)).toBe(32_768);
    expect(chooseContextLength(definition, 10_000_000)).toBe(10_000_000);
    expect(() => chooseContextLength(definition, 2 ** 24 + 1)).toThrow(/from 2 to 16777216/);
  });

  it("is bounded unless the caller asks for more", () => {
    const definition = define("LlamaForCausalLM", { max_position_embeddings: 10_000_000 });
    expect(chooseContextLength(definition, undefined)).toBe(32_768);
    expect(chooseContextLength(definition, 1_000_000)).toBe(1_000_000);
  });
});
