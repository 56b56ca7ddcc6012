// Contract: what the keys of a GGUF file say together becomes the config that its model has; keys that say what does not run here are
// refused by their names, and what newer or older files leave out is as in the published models.
import { describe, expect, test } from "vitest";
import { findArchitecture } from "../../lib/gguf/architectures.js";
import { ggufConfig } from "../../lib/gguf/config.js";
import { parseHeader } from "../../lib/gguf/header.js";
import { Metadata } from "../../lib/gguf/metadata.js";
import { encodeGguf, type GgufMetadata, type GgufValue } from "../support/gguf/format.js";

const text = (value: string): GgufValue => ({ type: "string", value });
const u32 = (value: number): GgufValue => ({ type: "u32", value });
const f32 = (value: number): GgufValue => ({ type: "f32", value });

const common: GgufMetadata = {
  ...{
    block_count: u32(2),
    context_length: u32(512),
    embedding_length: u32(64),
    feed_forward_length: u32(96),
  },
  ...{ "attention.head_count": u32(4), "attention.head_count_kv": u32(1) },
  "attention.layer_norm_rms_epsilon": f32(1e-6),
};
const experts: GgufMetadata = {
  ...{ expert_count: u32(8), expert_used_count: u32(2), expert_feed_forward_length: u32(32) },
};
const latents: GgufMetadata = {
  ...{ ...common, ...experts, "attention.kv_lora_rank": u32(32), "rope.dimension_count": u32(16) },
  ...{ "attention.key_length": u32(48), "attention.value_length": u32(32) },
  ...{ "attention.key_length_mla": u32(40), "attention.value_length_mla": u32(24) },
};
const windowed: GgufMetadata = { ...common, ...experts, "attention.sliding_window": u32(8) };

function configOf(
  architecture: string,
  keys: GgufMetadata,
  tensors: readonly string[] = [],
): Readonly<Record<string, unknown>> {
  const own = Object.fromEntries(
    Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value]),
  );
  const { metadata, tensors: entries } = parseHeader(
    ...fileOf({ "general.architecture": text(architecture), ...own }, tensors),
  )!;
  const read = new Metadata("f.gguf", metadata);
  const contents = {
    ...{ architecture, metadata: read, small: new Map<string, Float32Array>() },
    tensors: new Map(entries.map((entry) => [entry.name, entry])),
    own: (key: string) => read.value(`${architecture}.${key}`),
    has: (name: string) => entries.some((entry) => entry.name === name),
  };
  return ggufConfig(contents, findArchitecture(contents)).reader.json;
}

function fileOf(metadata: GgufMetadata, names: readonly string[]): [Buffer, number, string] {
  const data = () => [new Uint8Array(4)];
  const file = encodeGguf(
    metadata,
    ["token_embd.weight", ...names].map((name) => ({ name, shape: [1], dtype: "f32" as const, data })),
  );
  return [file, file.length, "f.gguf"];
}

describe("yarn", () => {
  const yarn: GgufMetadata = {
    ...{ "rope.scaling.type": text("yarn"), "rope.scaling.factor": f32(8) },
    "rope.scaling.original_context_length": u32(64),
  };
  const scalingOf = (architecture: "gpt-oss" | "deepseek2", keys: GgufMetadata) => {
    const base = architecture === "deepseek2" ? latents : windowed;
    return configOf(architecture, { ...base, ...yarn, ...keys })["rope_scaling"];
  };
  const plain = { rope_type: "yarn", factor: 8, original_max_position_embeddings: 64 };
  const magnitude = 1 + 0.1 * Math.log(8);

  test("has what the keys say, and what llama.cpp makes of a logarithm of its factor", () => {
    const betas = { "rope.scaling.yarn_beta_fast": f32(16), "rope.scaling.yarn_beta_slow": f32(2) };
    expect(scalingOf("gpt-oss", betas)).toEqual({ ...plain, beta_fast: 16, beta_slow: 2 });
    const log = (value: number) => ({ "rope.scaling.yarn_log_multiplier": f32(value) });
    expect(scalingOf("gpt-oss", log(0.5))).toEqual({ ...plain, mscale: 1, mscale_all_dim: 0.5 });
    expect(scalingOf("gpt-oss", log(0))).toEqual(plain);
    expect(scalingOf("deepseek2", log(0.0707))).toEqual({ ...plain, mscale: 0.707, mscale_all_dim: 0.707 });
  });

  test("of published gpt-oss is not cut to whole dimensions", () => {
    const published = { "rope.scaling.factor": f32(32), "rope.scaling.original_context_length": u32(4096) };
    expect(scalingOf("gpt-oss", published)).toMatchObject({ factor: 32, truncate: false });
    expect(scalingOf("gpt-oss", {})).not.toHaveProperty("truncate");
  });

  const neutral: readonly (readonly [string, number])[] = [
    ["attn_factor", 1],
    ["yarn_ext_factor", 1],
    ["yarn_ext_factor", -1],
    ["yarn_attn_factor", magnitude],
  ];
  test.each(neutral)("takes %s of %d, which says nothing more", (key, value) => {
    expect(scalingOf("gpt-oss", { [`rope.scaling.${key}`]: f32(value) })).toEqual(plain);
  });

  const refused: readonly (readonly [key: string, value: number, expected: RegExp])[] = [
    ["attn_factor", 1.2, /expected nothing or 1, got 1.2/],
    ["yarn_ext_factor", 0.5, /expected nothing or 1, got 0.5/],
    ["yarn_ext_factor", 0, /expected nothing or 1, got 0/],
    ["yarn_attn_factor", 1, /expected nothing or 1.207944, got 1/],
    ["alpha", 1000, /expected nothing: this scaling is not known here, got 1000/],
  ];
  test.each(refused)("is refused with %s of %d", (key, value, expected) => {
    const scaling = () => scalingOf("gpt-oss", { [`rope.scaling.${key}`]: f32(value) });
    expect(scaling).toThrow(`f.gguf: gpt-oss.rope.scaling.${key}: `);
    expect(scaling).toThrow(expected);
  });

  test("is no part of other scalings", () => {
    const linear = { "rope.scaling.type": text("linear") };
    const fails = (keys: GgufMetadata, says: RegExp) =>
      expect(() => scalingOf("deepseek2", { ...linear, ...keys })).toThrow(says);
    expect(scalingOf("deepseek2", { ...linear, "rope.scaling.yarn_ext_factor": f32(0) })).toEqual({
      ...{ rope_type: "linear", factor: 8 },
    });
    fails({ "rope.scaling.yarn_ext_factor": f32(1) }, /yarn_ext_factor: expected nothing or 0, got 1/);
    fails({ "rope.scaling.yarn_attn_factor": f32(2) }, /yarn_attn_factor: expected nothing or 1, got 2/);
    fails({ "rope.scaling.yarn_log_multiplier": f32(0.1) }, /yarn_log_multiplier: expected nothing or 0/);
    fails({ "rope.scaling.attn_factor": f32(2) }, /rope.scaling.attn_factor: expected nothing or 1, got 2/);
  });
});

describe("deepseek2", () => {
  test("is V3 by the scores of its router, or by the bias that chooses", () => {
    const modelOf = (keys: GgufMetadata, tensors: readonly string[] = []) =>
      configOf("deepseek2", { ...latents, ...keys }, tensors)["model_type"];
    expect(modelOf({})).toBe("deepseek_v2");
    expect(modelOf({ expert_gating_func: u32(1) })).toBe("deepseek_v2");
    expect(modelOf({ expert_gating_func: u32(2) })).toBe("deepseek_v3");
    expect(modelOf({}, ["blk.1.exp_probs_b.bias"])).toBe("deepseek_v3");
    expect(() => modelOf({ expert_gating_func: u32(4) })).toThrow(
      /deepseek2.expert_gating_func: expected nothing or 0 or 2, got 4/,
    );
  });

  test("has the widths of heads as they are computed, in newer files and in older ones", () => {
    const { "attention.key_length_mla": _k, "attention.value_length_mla": _v, ...older } = latents;
    const widths = { qk_nope_head_dim: 24, qk_rope_head_dim: 16, v_head_dim: 24, num_key_value_heads: 4 };
    expect(configOf("deepseek2", latents)).toMatchObject({ ...widths, q_lora_rank: null });
    expect(configOf("deepseek2", older)).toMatchObject({ ...widths, qk_nope_head_dim: 32, v_head_dim: 32 });
  });

  const groups: readonly (readonly [what: string, keys: GgufMetadata, expected: object])[] = [
    ["none", {}, { n_group: 1, topk_group: 1, topk_method: "greedy" }],
    [
      "those of its keys",
      { expert_group_count: u32(4), expert_group_used_count: u32(2) },
      { n_group: 4, topk_group: 2, topk_method: "group_limited_greedy" },
    ],
    [
      "those of V2",
      { expert_count: u32(160), block_count: u32(60) },
      { n_group: 8, topk_group: 3, topk_method: "group_limited_greedy" },
    ],
    [
      "those of V3",
      { expert_count: u32(256), block_count: u32(61), expert_gating_func: u32(2) },
      { n_group: 8, topk_group: 4 },
    ],
  ];
  test.each(groups)("has groups of experts: %s", (_, keys, expected) => {
    expect(configOf("deepseek2", { ...latents, ...keys })).toMatchObject(expected);
  });

  test("of attention scaled by position is refused", () => {
    const json = configOf("deepseek2", { ...latents, "attention.temperature_scale": f32(0.1) });
    expect(json).toMatchObject({ llama_4_scaling: 0.1 }); // which the families refuse
  });
});

test("glm4moe runs without the layers that predict further tokens, and with sigmoid scores alone", () => {
  const keys = { ...common, ...experts, block_count: u32(5), nextn_predict_layers: u32(2) };
  expect(configOf("glm4moe", keys)).toMatchObject({ num_hidden_layers: 3, num_nextn_predict_layers: 2 });
  expect(() => configOf("glm4moe", { ...keys, expert_gating_func: u32(1) })).toThrow(
    /glm4moe.expert_gating_func: expected nothing or 2, got 1/,
  );
});
