/**
 * `deepseek2`: DeepSeek V2, V3 and R1, and what is built like them; and `deepseek32`, which is V3.2. Newer files have W_uk and W_uv as two tensors, W_uk turned; older
 * ones have both in one, as checkpoints do. Which of the models it is follows from the scores of the router; the groups of experts are
 * in no key of older files.
 *
 * Source: conversion of llama.cpp (`DeepseekV2Model`), and `llama_model::load_hparams`.
 */
import type { ModelWeightRow } from "../weights/modelWeights.js";
import { type Architecture, type GgufContents, type Origin, uniform } from "./architecture.js";
import { shortest } from "./cursor.js";
import { gating, layersWithoutPrediction, mixedModules, sharedExpertFields } from "./mixtures.js";
import { ropeScaling, ropeScalingKeys } from "./ropeScaling.js";
import {
  normModules,
  optional,
  outerModules,
  transformerFields,
  transformerIrrelevant,
} from "./transformerFields.js";

/** Heads as they are computed: newer files say also how they are kept, as latents that all heads share. */
const headWidth = (name: "key" | "value") => (contents: GgufContents) =>
  contents.own(`attention.${name}_length_mla`) ?? contents.own(`attention.${name}_length`);

/** Converters write a tenth of it, and cosines and sines are not magnified. */
const magnitudes = (multiplier: number) => {
  const all = shortest(Math.fround(10 * multiplier));
  return { mscale: all, mscale_all_dim: all };
};

/** Groups of experts of published models, by their experts and layers, for files without keys of them. */
const publishedGroups: readonly {
  readonly experts: number;
  readonly layers: number;
  readonly groups: readonly [count: number, used: number];
}[] = [
  { experts: 160, layers: 60, groups: [8, 3] }, // V2, V2.5, Coder V2
  { experts: 256, layers: 61, groups: [8, 4] }, // V3, R1
];

/** @param which of the two numbers: how many groups there are, and from how many of them experts are chosen */
const ofGroups = (key: string, which: 0 | 1): Origin => ({
  keys: [key],
  of: ({ own }) =>
    own(key) ??
    publishedGroups.find(
      ({ experts, layers }) => own("expert_count") === experts && own("block_count") === layers,
    )?.groups[which] ??
    1,
});

const { head_dim: _headDim, partial_rotary_factor: _share, ...common } = transformerFields;
const fields: Readonly<Record<string, Origin>> = {
  ...{ ...common, ...sharedExpertFields },
  partial_rotary_factor: { none: "qk_rope_head_dim is what is rotated" },
  num_key_value_heads: {
    keys: ["attention.head_count", "attention.head_count_kv"],
    of: ({ own }) => uniform(own("attention.head_count")),
  },
  q_lora_rank: { keys: ["attention.q_lora_rank"], of: ({ own }) => own("attention.q_lora_rank") ?? null },
  kv_lora_rank: { key: "attention.kv_lora_rank" },
  qk_rope_head_dim: { key: "rope.dimension_count" },
  qk_nope_head_dim: {
    keys: ["attention.key_length_mla", "attention.key_length", "rope.dimension_count"],
    of: (contents) => Number(headWidth("key")(contents)) - Number(contents.own("rope.dimension_count")),
  },
  v_head_dim: { keys: ["attention.value_length_mla", "attention.value_length"], of: headWidth("value") },
  rope_scaling: {
    ...{ keys: ropeScalingKeys, prefix: "rope.scaling" },
    of: (contents) => ropeScaling(contents, magnitudes),
  },
  n_group: ofGroups("expert_group_count", 0),
  topk_group: ofGroups("expert_group_used_count", 1),
  norm_topk_prob: optional("expert_weights_norm", false),
};

/** Of a tensor [H, rows, columns], whose matrices are those of the heads. */
function headMatrices(
  { slot, split, unlessChunksKeepBits }: ModelWeightRow,
  {
    form,
    name,
    shape,
  }: Pick<ModelWeightRow, "form"> & {
    readonly name: string;
    readonly shape: readonly [heads: number, rows: number, columns: number];
  },
): ModelWeightRow {
  const [heads, rows, columns] = shape;
  return {
    ...{ slot, form, from: [`blk.{layer}.${name}.weight`], shapes: [[heads * rows, columns]] },
    ...{ fileShapes: [shape], rowViews: [{ axes: [heads, rows], order: [0, 1] }] },
    ...(split && { split: { axis: "heads", headDim: rows } }),
    ...(unlessChunksKeepBits && { unlessChunksKeepBits }),
  };
}

/** Keys or values of the one tensor of a checkpoint, in the two of a newer file. */
const apart =
  (kind: "keys" | "values") =>
  (row: ModelWeightRow, { has }: GgufContents): ModelWeightRow | undefined => {
    if (has("blk.0.attn_kv_b.weight")) return undefined;
    const { axes, take } = row.rowViews![0]!;
    const [heads, width, rank] = [axes[0]!, take!.end - take!.start, row.shapes[0]![1]!];
    return kind === "values"
      ? headMatrices(row, { form: row.form, name: "attn_v_b", shape: [heads, width, rank] })
      : headMatrices(row, {
          form: row.form === "heads" ? "turnedHeads" : "heads",
          name: "attn_k_b",
          shape: [heads, rank, width],
        });
  };

const shared: Pick<Architecture, "name" | "irrelevant" | "modules" | "rows"> = {
  name: "deepseek2",
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...normModules, ...mixedModules },
    "self_attn.q_proj": "attn_q",
    "self_attn.q_a_proj": "attn_q_a",
    "self_attn.q_a_layernorm": "attn_q_a_norm",
    "self_attn.q_b_proj": "attn_q_b",
    "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
    "self_attn.kv_a_layernorm": "attn_kv_a_norm",
    "self_attn.kv_b_proj": "attn_kv_b",
    "self_attn.o_proj": "attn_output",
  },
  rows: { absorbedKeys: apart("keys"), keys: apart("keys"), values: apart("values") },
};

const v3: Architecture = {
  ...{ ...shared, model: "DeepseekV3ForCausalLM", modelType: "deepseek_v3" },
  isMeant: ({ own, tensors }) =>
    (own("expert_gating_func") ?? 0) === 0
      ? [...tensors.keys()].some((name) => name.endsWith(".exp_probs_b.bias"))
      : own("expert_gating_func") !== gating.softmax,
  fields: {
    ...{ ...fields, num_hidden_layers: layersWithoutPrediction },
    num_nextn_predict_layers: optional("nextn_predict_layers", 0),
    rope_interleave: { always: true },
  },
  only: { expert_gating_func: [0, gating.sigmoid] },
};

const v2: Architecture = {
  ...{ ...shared, model: "DeepseekV2ForCausalLM", modelType: "deepseek_v2" },
  fields: {
    ...fields,
    topk_method: {
      keys: ["expert_group_count"],
      of: (contents) => (groupsOf(contents) === 1 ? "greedy" : "group_limited_greedy"),
    },
  },
  only: { expert_gating_func: [0, gating.softmax], nextn_predict_layers: [0] },
};

function groupsOf(contents: GgufContents): unknown {
  const origin = fields["n_group"]!;
  return "of" in origin ? origin.of(contents) : undefined;
}

const v32: Architecture = {
  ...{ ...shared, name: "deepseek32", model: "DeepseekV32ForCausalLM", modelType: "deepseek_v32" },
  fields: {
    ...v3.fields,
    index_n_heads: { key: "attention.indexer.head_count" },
    index_head_dim: { key: "attention.indexer.key_length" },
    index_topk: { key: "attention.indexer.top_k" },
  },
  only: { expert_gating_func: [gating.sigmoid] },
  modules: {
    ...shared.modules,
    "self_attn.indexer.wq_b": "indexer.attn_q_b",
    "self_attn.indexer.wk": "indexer.attn_k",
    "self_attn.indexer.k_norm": "indexer.k_norm",
    "self_attn.indexer.weights_proj": "indexer.proj",
  },
};

export const deepseeks: readonly Architecture[] = [v3, v2, v32];
