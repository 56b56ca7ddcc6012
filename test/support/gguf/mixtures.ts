/** What converters do with families of experts, with DeepSeek's latents, and with Mamba 2: see families.ts. */
import type { Config, Values } from "./convert.js";
import {
  type Converter,
  converter,
  expertKeys,
  f32,
  type Family,
  headDim,
  heads,
  llamaNames,
  stackedExperts,
  type Tensors,
  u32,
  window,
} from "./converter.js";
import type { GgufValue } from "./format.js";

type Keys = Record<string, GgufValue>;
type Named = readonly (readonly [string, Values])[];

const bool = (value: unknown): GgufValue => ({ type: "bool", value: Boolean(value) });

/** `TextModel.set_gguf_parameters`: only what the config has. */
function present(config: Config, keys: Readonly<Record<string, readonly [string, typeof u32]>>): Keys {
  const own = Object.entries(keys).filter(([field]) => config[field] !== undefined && config[field] !== null);
  return Object.fromEntries(own.map(([field, [key, write]]) => [key, write(config[field])]));
}

const mixtureKeys = (config: Config): Keys => ({
  ...expertKeys(config),
  ...present(config, {
    moe_intermediate_size: ["expert_feed_forward_length", u32],
    n_shared_experts: ["expert_shared_count", u32],
    first_k_dense_replace: ["leading_dense_block_count", u32],
    routed_scaling_factor: ["expert_weights_scale", f32],
    n_group: ["expert_group_count", u32],
    topk_group: ["expert_group_used_count", u32],
  }),
  ...(config["norm_topk_prob"] === true && { expert_weights_norm: bool(true) }),
});

export function yarnKeys(config: Config): Keys {
  const scaling = config["rope_scaling"] as Readonly<Record<string, unknown>> | null;
  if (scaling?.["rope_type"] !== "yarn") return {};
  return {
    "rope.scaling.type": { type: "string", value: "yarn" },
    ...present(scaling, {
      factor: ["rope.scaling.factor", f32],
      original_max_position_embeddings: ["rope.scaling.original_context_length", u32],
      beta_fast: ["rope.scaling.yarn_beta_fast", f32],
      beta_slow: ["rope.scaling.yarn_beta_slow", f32],
    }),
  };
}

const mixedNames = {
  ...llamaNames,
  "mlp.gate.e_score_correction_bias": "exp_probs_b.bias",
  "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
  "mlp.shared_experts.up_proj": "ffn_up_shexp",
  "mlp.shared_experts.down_proj": "ffn_down_shexp",
};

/** A matrix for each of the first axis, turned, or some of its rows: [E, rows, columns] of every layer's tensor of a name. */
function mapTensors(tensors: Tensors, name: string, to: (values: Values) => Named): Named {
  return [...tensors].flatMap(([from, values]) => {
    const [, layer, module] = /^model\.layers\.(\d+)\.(.*)$/.exec(from) ?? [];
    return module === name
      ? to(values).map(([tensor, result]) => [`blk.${layer}.${tensor}`, result] as const)
      : [];
  });
}

/** @param index of the source for each [stack, row, column] of the result */
function gathered(
  { values }: Values,
  shape: readonly number[],
  index: (stack: number, row: number, column: number) => number,
): Values {
  const [stacks, rows, columns] = shape as [number, number, number];
  const size = rows * columns;
  return {
    shape,
    values: Float32Array.from({ length: stacks * size }, (_, i) => {
      const [stack, within] = [Math.floor(i / size), i % size];
      return values[index(stack, Math.floor(within / columns), within % columns)]!;
    }),
  };
}

/** Gate and up take turns along the last axis, [E, D, 2F] or [E, 2F]; down is [E, F, D]. */
function gptOssExperts(_: Config, tensors: Tensors): Named {
  const halves = ["gate", "up"].map((name, half) => ({ name, half }));
  return [
    ...mapTensors(tensors, "mlp.experts.gate_up_proj", (values) => {
      const [E, D, both] = values.shape as [number, number, number];
      return halves.map(({ name, half }) => [
        `ffn_${name}_exps.weight`,
        gathered(values, [E, both / 2, D], (e, row, d) => (e * D + d) * both + 2 * row + half),
      ]);
    }),
    ...mapTensors(tensors, "mlp.experts.down_proj", (values) => {
      const [E, F, D] = values.shape as [number, number, number];
      return [["ffn_down_exps.weight", gathered(values, [E, D, F], (e, row, f) => (e * F + f) * D + row)]];
    }),
    ...mapTensors(tensors, "mlp.experts.gate_up_proj_bias", (values) => {
      const [E, both] = values.shape as [number, number];
      return halves.map(({ name, half }) => {
        const { values: own } = gathered(values, [E, both / 2, 1], (e, row) => e * both + 2 * row + half);
        return [`ffn_${name}_exps.bias`, { shape: [E, both / 2], values: own }];
      });
    }),
    ...mapTensors(tensors, "mlp.experts.down_proj_bias", (values) => [["ffn_down_exps.bias", values]]),
  ];
}

/** Layers that predict further tokens come behind the last one, with tensors of their own. */
function withPrediction(config: Config, tensors: Named): Named {
  const [first, count] = [Number(config["num_hidden_layers"]), Number(config["num_nextn_predict_layers"])];
  const one: Values = { shape: [1], values: new Float32Array(1) };
  const names = ["nextn.eh_proj.weight", "nextn.enorm.weight", "attn_q.weight", "ffn_gate_exps.weight"];
  const more = Array.from({ length: count }, (_, i) =>
    names.map((name) => [`blk.${first + i}.${name}`, one] as const),
  );
  return [...tensors, ...more.flat()];
}

const isOld = (config: Config): boolean => config["old_converter"] === true;
const dims = (config: Config) =>
  ["qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank"].map((field) =>
    Number(config[field]),
  ) as [number, number, number, number];

/** `DeepseekV2Model`, and what it did before it kept latents: `old_converter` in the config. */
function deepseekKeys(config: Config): Keys {
  const [plain, rotated, value, rank] = dims(config);
  const scaling = config["rope_scaling"] as Readonly<Record<string, unknown>> | null;
  const all = scaling?.["mscale_all_dim"];
  return {
    ...{ ...mixtureKeys(config), ...yarnKeys(config) },
    ...present(config, {
      q_lora_rank: ["attention.q_lora_rank", u32],
      index_n_heads: ["attention.indexer.head_count", u32],
      index_head_dim: ["attention.indexer.key_length", u32],
      index_topk: ["attention.indexer.top_k", u32],
    }),
    "attention.kv_lora_rank": u32(rank),
    "rope.dimension_count": u32(rotated),
    ...(all !== undefined && { "rope.scaling.yarn_log_multiplier": f32(0.1 * Number(all)) }),
    ...(isOld(config)
      ? { "attention.key_length": u32(plain + rotated), "attention.value_length": u32(value) }
      : {
          "attention.head_count_kv": u32(1),
          "attention.key_length": u32(rank + rotated),
          "attention.value_length": u32(rank),
          "attention.key_length_mla": u32(plain + rotated),
          "attention.value_length_mla": u32(value),
          expert_gating_func: u32(config["scoring_func"] === "sigmoid" ? 2 : 1),
        }),
  };
}

function deepseekTensors(config: Config, tensors: Tensors): Named {
  const [plain, , value, rank] = dims(config);
  const H = heads(config);
  const width = plain + value;
  const ofHeads = mapTensors(tensors, "self_attn.kv_b_proj.weight", (values) =>
    isOld(config)
      ? [["attn_kv_b.weight", values]]
      : [
          [
            "attn_k_b.weight",
            gathered(values, [H, rank, plain], (h, row, column) => (h * width + column) * rank + row),
          ],
          [
            "attn_v_b.weight",
            gathered(values, [H, value, rank], (h, row, column) => (h * width + plain + row) * rank + column),
          ],
        ],
  );
  return [...ofHeads, ...stackedExperts("mlp")(config, tensors)];
}

const latents: Family = {
  architecture: "deepseek2",
  names: {
    ...mixedNames,
    "self_attn.q_a_proj": "attn_q_a",
    "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b",
    "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "self_attn.indexer.wq_b": "indexer.attn_q_b",
    "self_attn.indexer.wk": "indexer.attn_k",
    "self_attn.indexer.k_norm": "indexer.k_norm",
    "self_attn.indexer.weights_proj": "indexer.proj",
  },
  keys: deepseekKeys,
  more: deepseekTensors,
};
const deepseek = converter(latents);

function mambaChange(name: string, { shape, values }: Values, config: Config): Values {
  if (/ssm_conv1d\.weight$/.test(name)) return { shape: shape.filter((_, axis) => axis !== 1), values };
  if (/ssm_norm/.test(name)) {
    const groups = Number(config["n_groups"]);
    return { shape: [groups, shape[0]! / groups], values };
  }
  if (/ssm_a$/.test(name)) return { shape: [...shape, 1], values: values.map((value) => -Math.exp(value)) };
  return /ssm_d$/.test(name) ? { shape: [...shape, 1], values } : { shape, values };
}

export const mixtures: Readonly<Record<string, Converter>> = {
  DeepseekV2ForCausalLM: deepseek,
  DeepseekV3ForCausalLM: deepseek,
  DeepseekV32ForCausalLM: converter({ ...latents, architecture: "deepseek32" }),
  Glm4MoeForCausalLM: converter({
    ...{ architecture: "glm4moe", names: { ...mixedNames, post_attention_layernorm: "post_attention_norm" } },
    keys: (config) => ({
      ...mixtureKeys(config),
      block_count: u32(Number(config["num_hidden_layers"]) + Number(config["num_nextn_predict_layers"])),
      nextn_predict_layers: u32(config["num_nextn_predict_layers"]),
      expert_gating_func: u32(2),
      "rope.dimension_count": u32(headDim(config) * Number(config["partial_rotary_factor"])),
    }),
    more: (config, tensors) => withPrediction(config, stackedExperts("mlp")(config, tensors)),
  }),
  GptOssForCausalLM: converter({
    architecture: "gpt-oss",
    names: {
      ...llamaNames,
      post_attention_layernorm: "post_attention_norm",
      "self_attn.sinks": "attn_sinks.weight",
      "mlp.router": "ffn_gate_inp",
    },
    keys: (config) => ({
      ...{ ...expertKeys(config), ...window(config), ...yarnKeys(config) },
      expert_feed_forward_length: u32(config["intermediate_size"]),
    }),
    more: gptOssExperts,
  }),
  Mamba2ForCausalLM: converter({
    ...{ architecture: "mamba2", hasOwnKeysOnly: true, change: mambaChange },
    outer: {
      "backbone.embeddings.weight": "token_embd.weight",
      "backbone.norm_f.weight": "output_norm.weight",
    },
    names: {
      norm: "attn_norm",
      "mixer.in_proj": "ssm_in",
      "mixer.conv1d": "ssm_conv1d",
      "mixer.A_log": "ssm_a",
      "mixer.D": "ssm_d",
      "mixer.dt_bias": "ssm_dt.bias",
      "mixer.norm": "ssm_norm",
      "mixer.out_proj": "ssm_out",
    },
    keys: (config) => ({
      block_count: u32(config["num_hidden_layers"]),
      context_length: u32(2 ** 20),
      embedding_length: u32(config["hidden_size"]),
      feed_forward_length: u32(0),
      "attention.head_count": u32(0),
      "attention.layer_norm_rms_epsilon": f32(config["layer_norm_epsilon"]),
      "ssm.conv_kernel": u32(config["conv_kernel"]),
      "ssm.inner_size": u32(Number(config["expand"]) * Number(config["hidden_size"])),
      "ssm.state_size": u32(config["state_size"]),
      "ssm.time_step_rank": u32(config["num_heads"]),
      "ssm.group_count": u32(config["n_groups"]),
    }),
  }),
};
