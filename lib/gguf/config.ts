/**
 * What config.json and generation_config.json of a model would say, from the metadata of its GGUF file: fields come as the table of the
 * architecture says. The families read it as any other config, and errors name the keys of the file.
 */
import type { ModelConfigJson } from "../checkpoint/config.js";
import { ConfigReader } from "../checkpoint/configReader.js";
import { readSampling, readTokenIds } from "../checkpoint/fileDefaults.js";
import type { Architecture, GgufContents, Origin } from "./architecture.js";
import { endTokenIds } from "./endTokens.js";

/**
 * Keys of other architectures by the fields of config.json that say the same: families refuse or take them as they do there
 * (lib/models/foreignFields.ts). Only where the architecture has no field of its own from the key.
 */
export const foreignKeys: Readonly<Record<string, string>> = {
  "attention.sliding_window": "sliding_window",
  "attention.scale": "attention_multiplier",
  "attention.clamp_kqv": "clip_qkv",
  "attention.max_alibi_bias": "alibi",
  "attention.causal": "is_causal",
  "attention.q_lora_rank": "q_lora_rank",
  "attention.kv_lora_rank": "kv_lora_rank",
  attn_logit_softcapping: "attn_logit_softcapping",
  final_logit_softcapping: "final_logit_softcapping",
  logit_scale: "logits_scaling",
  embedding_scale: "embedding_multiplier",
  residual_scale: "residual_multiplier",
  use_parallel_residual: "use_parallel_residual",
  expert_count: "num_experts",
  expert_used_count: "num_experts_per_tok",
  expert_shared_count: "n_shared_experts",
  expert_shared_feed_forward_length: "shared_expert_intermediate_size",
  expert_weights_scale: "routed_scaling_factor",
  expert_group_count: "n_group",
  expert_group_used_count: "topk_group",
  leading_dense_block_count: "first_k_dense_replace",
  "attention.temperature_scale": "llama_4_scaling",
  "attention.temperature_length": "attn_temperature_tuning",
};

/** Keys of every architecture that change nothing. */
const irrelevantKeys: readonly string[] = ["vocab_size", "tensor_data_layout"];

/**
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming a key that is missing; what a value must be is checked by the families, and by
 * who reads the defaults
 */
export function ggufConfig(contents: GgufContents, architecture: Architecture): ModelConfigJson {
  const { file } = contents.metadata;
  const reader = new ConfigReader(file, configJson(contents, architecture), (field) =>
    shownName(contents, architecture.fields[field], field),
  );
  const vocabSize = Number(reader.json["vocab_size"]);
  const ids = new ConfigReader(file, tokenIds(contents), "tokenizer.ggml.");
  const idsOf = (field: string) => readTokenIds(ids, field, vocabSize > 0 ? vocabSize : undefined);
  return {
    ...{ file, reader, architecture: architecture.model },
    eosTokenIds: idsOf("eos_token_id"),
    bosTokenId: idsOf("bos_token_id")[0],
    sampling: readSampling(new ConfigReader(file, samplingJson(contents), "general.sampling.")),
  };
}

function configJson(contents: GgufContents, architecture: Architecture): Record<string, unknown> {
  const { fields, model, modelType } = architecture;
  const json: Record<string, unknown> = { architectures: [model], model_type: modelType };
  for (const [key, values] of Object.entries(architecture.only ?? {})) {
    const [name, value] = [`${contents.architecture}.${key}`, contents.own(key)];
    if (value !== undefined && !values.includes(value))
      contents.metadata.fail(name, `nothing or ${values.map(String).join(" or ")}`);
  }
  for (const [field, origin] of Object.entries(fields)) {
    const value = valueOf(contents, origin);
    if (value !== undefined) json[field] = value;
  }
  for (const key of unreadKeys(contents, architecture)) {
    if (key.startsWith("rope.scaling."))
      contents.metadata.fail(`${contents.architecture}.${key}`, "nothing: this scaling is not known here");
    const field = foreignKeys[key];
    const isOwn = field !== undefined && fields[field] !== undefined && !("none" in fields[field]);
    // A key without a field is one that the family does not know, and warns about.
    json[field === undefined || isOwn ? `${contents.architecture}.${key}` : field] = contents.own(key);
  }
  return json;
}

function valueOf(contents: GgufContents, origin: Origin): unknown {
  if ("none" in origin) return undefined;
  if ("always" in origin) return origin.always;
  if ("of" in origin) return origin.of(contents);
  const { architecture, metadata, own } = contents;
  const value = own(origin.key);
  return value === undefined ? metadata.fail(`${architecture}.${origin.key}`, "a value") : value;
}

/** Without the architecture in front. */
function* unreadKeys(
  { architecture, metadata }: GgufContents,
  { fields, irrelevant, only = {} }: Architecture,
): Generator<string> {
  const origins = Object.values(fields);
  const read = origins.flatMap((origin) =>
    "keys" in origin ? origin.keys : "key" in origin ? [origin.key] : [],
  );
  const known = new Set([...read, ...irrelevant, ...Object.keys(only), ...irrelevantKeys]);
  for (const key of metadata.keys()) {
    if (!key.startsWith(`${architecture}.`)) continue;
    const own = key.slice(architecture.length + 1);
    if (!known.has(own)) yield own;
  }
}

/** What a field is called in errors: its key, where it has one. */
function shownName({ architecture }: GgufContents, origin: Origin | undefined, field: string): string {
  if (origin === undefined) {
    const [key] = Object.entries(foreignKeys).find(([, name]) => name === field) ?? [];
    return key === undefined ? field : `${architecture}.${key}`;
  }
  const key = "key" in origin ? origin.key : "keys" in origin ? (origin.prefix ?? origin.keys[0]) : undefined;
  return key === undefined ? field : `${architecture}.${key}`;
}

function tokenIds({ metadata }: GgufContents): Record<string, unknown> {
  return { bos_token_id: metadata.value("tokenizer.ggml.bos_token_id"), eos_token_id: endTokenIds(metadata) };
}

/** Newer converters write what generation_config.json says. */
function samplingJson({ metadata }: GgufContents): Record<string, unknown> {
  const value = (key: string) => metadata.value(`general.sampling.${key}`);
  const temperature = value("temp");
  return {
    ...{ temperature, top_k: value("top_k"), top_p: value("top_p"), min_p: value("min_p") },
    repetition_penalty: value("penalty_repeat"),
    ...(temperature !== undefined && { do_sample: temperature !== 0 }),
  };
}
