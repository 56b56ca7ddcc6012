// Contract: an odd config is refused by name before a weight is there: the error has the field that is why, and what it was. Of every
// family, whatever stands in any field that it reads, the config is taken or the error is of that kind.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import type { Device } from "../../lib/device/device.js";
import { CheckpointError } from "../../lib/errors.js";
import { describeModel, loadModel } from "../../lib/llm/loadModel.js";
import { findFamily } from "../../lib/models/registry.js";
import { openTestDevice } from "../support/devices.js";
import { families } from "../support/familyTables.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import { collectWarnings } from "../support/warnings.js";

type Fields = Readonly<Record<string, unknown>>;

interface OddConfig {
  readonly family: string;
  readonly fields: Fields;
  /** Behind "config.json: ". */
  readonly says: string;
}

const fourSliding = new Array(4).fill("sliding_attention");

const odd: readonly OddConfig[] = [
  {
    family: "LlamaForCausalLM",
    fields: { rope_scaling: { rope_type: "ntk", factor: 2 } },
    says: 'rope_scaling.rope_type must be one of default, linear, dynamic, llama3, yarn, longrope, got "ntk"',
  },
  {
    family: "LlamaForCausalLM",
    fields: { rope_scaling: { type: "ntk" } },
    says: "rope_scaling.type must be one of default",
  },
  {
    family: "Qwen3ForCausalLM",
    fields: { rope_parameters: { rope_type: "yarn", factor: "4" } },
    says: 'rope_parameters.factor must be a number, got "4"',
  },
  {
    family: "Qwen3ForCausalLM",
    fields: { rope_parameters: { rope_type: "linear" } },
    says: "rope_parameters.factor is missing",
  },
  {
    family: "LlamaForCausalLM",
    fields: { rope_scaling: { factor: 2 } },
    says: 'rope_scaling.factor: expected nothing, for rope type "default" has no such parameter, got 2',
  },
  {
    family: "LlamaForCausalLM",
    fields: { original_max_position_embeddings: -1 },
    says: "original_max_position_embeddings: expected a positive number of 32 bits, got -1",
  },
  {
    family: "GptOssForCausalLM",
    fields: { rope_scaling: { rope_type: "yarn", factor: 32, beta_fast: -1 } },
    says: "rope_scaling.beta_fast must be above 0, got -1",
  },
  { family: "LlamaForCausalLM", fields: { rope_theta: 1 }, says: "rope_theta must be above 1, got 1" },
  {
    family: "Gemma2ForCausalLM",
    fields: { hidden_activation: "relu" },
    says: 'hidden_activation: expected one of "silu"',
  },
  {
    family: "MixtralForCausalLM",
    fields: { hidden_act: "gelu" },
    says: 'hidden_act: expected one of "silu"',
  },
  {
    family: "LlamaForCausalLM",
    fields: { head_dim: 0 },
    says: "head_dim: expected a positive integer, got 0",
  },
  {
    family: "LlamaForCausalLM",
    fields: { head_dim: 17 },
    says: "head_dim: expected heads whose width is a multiple of 16 up to 512 (it would be 17), got 17",
  },
  {
    family: "LlamaForCausalLM",
    fields: { head_dim: undefined, hidden_size: 66 },
    says:
      "num_attention_heads: expected heads whose width is a multiple of 16 up to 512 " +
      "(it would be hidden_size / num_attention_heads = 16.5), got 4",
  },
  {
    family: "GPT2LMHeadModel",
    fields: { n_embd: 66 },
    says: "n_head: expected heads whose width is a multiple of 16 up to 512 (it would be n_embd / n_head = 16.5)",
  },
  {
    family: "Gemma3ForCausalLM",
    fields: { layer_types: ["full_attention", "full_attention", "full_attention", "linear_attention"] },
    says: 'layer_types: expected a list of "full_attention" or "sliding_attention", got ["full_attention"',
  },
  {
    family: "Olmo3ForCausalLM",
    fields: { layer_types: ["full_attention"] },
    says: 'layer_types: expected one for each of the 4 layers, got ["full_attention"]',
  },
  {
    family: "Cohere2ForCausalLM",
    fields: { layer_types: "full_attention" },
    says: 'layer_types: expected a list of "full_attention" or "sliding_attention", got "full_attention"',
  },
  {
    family: "SmolLM3ForCausalLM",
    fields: { use_sliding_window: true, layer_types: fourSliding },
    says: 'layer_types: expected "full_attention" alone, because no field gives the window',
  },
  ...[0, -1, 1.5, "128"].map((window) => ({
    family: "MistralForCausalLM",
    fields: { sliding_window: window },
    says: `sliding_window: expected a positive integer, got ${JSON.stringify(window)}`,
  })),
  {
    family: "DeepseekV2ForCausalLM",
    fields: { topk_method: "noaux_tc" },
    says: 'topk_method: expected one of "greedy", "group_limited_greedy", got "noaux_tc"',
  },
  {
    family: "DeepseekV2ForCausalLM",
    fields: { topk_method: "group_limited_greedy" },
    says: "n_group: expected a positive integer, got nothing",
  },
  {
    family: "DeepseekV3ForCausalLM",
    fields: { topk_method: "greedy" },
    says: 'topk_method: expected nothing or "noaux_tc", got "greedy"',
  },
  {
    family: "DeepseekV3ForCausalLM",
    fields: { n_group: 3 },
    says: "n_group: expected a divisor of n_routed_experts (4), got 3",
  },
  {
    family: "DeepseekV3ForCausalLM",
    fields: { topk_group: 3 },
    says: "topk_group: expected at most n_group (2), got 3",
  },
  {
    family: "DeepseekV3ForCausalLM",
    fields: { attention_bias: true },
    says: "attention_bias: expected nothing or false or 0, got true",
  },
  { family: "DeepseekV3ForCausalLM", fields: { q_lora_rank: 0 }, says: "q_lora_rank: expected a positive" },
  {
    family: "DeepseekV3ForCausalLM",
    fields: { qk_nope_head_dim: 20 },
    says: "qk_nope_head_dim: expected heads whose width is a multiple of 16 up to 512 (it would be 20), got 20",
  },
  {
    family: "Qwen2ForCausalLM",
    fields: { num_key_value_heads: 3 },
    says: "num_key_value_heads: expected a divisor of num_attention_heads (4), got 3",
  },
  {
    family: "StableLmForCausalLM",
    fields: { tie_word_embeddings: "false" },
    says: 'tie_word_embeddings: expected true or false, got "false"',
  },
  { family: "Glm4ForCausalLM", fields: { hidden_size: undefined }, says: "hidden_size: expected a positive" },
  {
    family: "Starcoder2ForCausalLM",
    fields: { vocab_size: null },
    says: "vocab_size: expected a positive integer, got nothing",
  },
  {
    family: "Qwen3MoeForCausalLM",
    fields: { num_experts: 0 },
    says: "num_experts: expected a positive integer, got 0",
  },
  {
    family: "OlmoeForCausalLM",
    fields: { num_experts_per_tok: 5 },
    says: "num_experts_per_tok: expected an integer from 1 to 4, got 5",
  },
  {
    family: "Glm4MoeForCausalLM",
    fields: { n_routed_experts: undefined },
    says: "n_routed_experts: expected a positive integer, got nothing",
  },
  {
    family: "Mamba2ForCausalLM",
    fields: { n_groups: 3 },
    says: "n_groups: expected a divisor of num_heads (8), got 3",
  },
  {
    family: "Mamba2ForCausalLM",
    fields: { head_dim: 3 },
    says: "num_heads: expected heads of 3 channels (head_dim) that are 128 in all (expand * hidden_size), got 8",
  },
];

describe("before a weight is there", () => {
  it.each(odd)("$family: $fields", async ({ family, fields, says }) => {
    const folder = await mkdtemp(join(tmpdir(), "warploop-odd-"));
    try {
      const config = { ...families[family]!.base, architectures: [family], ...fields };
      await writeFile(join(folder, "config.json"), JSON.stringify(config));
      const error: unknown = await describeModel(folder).catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(CheckpointError);
      expect(error).toMatchObject({ code: "ERR_CHECKPOINT_CONFIG", file: join(folder, "config.json") });
      expect((error as Error).message).toContain(`config.json: ${says}`);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it("names the place in the part of the text model", () => {
    const text = { ...families["Gemma3ForCausalLM"]!.base, rope_scaling: { rope_type: "linear", factor: 0 } };
    const reader = new ConfigReader("config.json", { text_config: text });
    expect(() => findFamily("Gemma3ForConditionalGeneration", "config.json")(reader)).toThrow(
      "config.json: text_config.rope_scaling.factor must be above 0, got 0",
    );
  });
});

/** What no field is, or only few are. */
const junk = [
  "no such value",
  "",
  -1,
  0,
  1.5,
  1e300,
  2 ** 40,
  3,
  7,
  {},
  [],
  [1],
  ["x"],
  { a: 1 },
  true,
  false,
];

/** Fields that an error of another one may be about, as both say the same thing. */
const others: Readonly<Record<string, string>> = { num_hidden_layers: "layer_types" };

describe.each(Object.entries(families))("%s", (architecture, { table, base, also = [] }) => {
  const errorOf = (fields: Fields): unknown => {
    const reader = new ConfigReader("config.json", { ...base, ...fields });
    try {
      findFamily(architecture, "config.json")(reader);
      return undefined;
    } catch (error) {
      return error;
    }
  };

  it.each(table.used)("%s may be anything: taken, or an error that names it", async (field) => {
    const isRead: boolean[] = [];
    await collectWarnings(() => {
      for (const more of [{}, ...also]) {
        for (const value of junk) {
          const error = errorOf({ ...more, [field]: value });
          if (error === undefined) continue;
          expect(error, `${field}: ${JSON.stringify(value)}`).toBeInstanceOf(CheckpointError);
          const { code, file, message } = error as CheckpointError;
          expect({ code, file }).toEqual({ code: "ERR_CHECKPOINT_CONFIG", file: "config.json" });
          if (!message.includes(field)) expect(message).toContain(`config.json: ${others[field]}`);
        }
        isRead.push(errorOf({ ...more, [field]: junk[0] }) !== undefined);
      }
    });
    expect(isRead).toContain(true); // what is read is checked
  });
});

describe("tensors of another size than the config says", () => {
  let device: Device;
  beforeAll(() => {
    device = openTestDevice({ threads: 1 });
  });
  afterAll(() => device.dispose());

  it.each([
    { vocab_size: 40, tie_word_embeddings: false },
    { vocab_size: 40, tie_word_embeddings: true },
  ])("the error names tensor and field: $vocab_size, tied $tie_word_embeddings", async (fields) => {
    const config = tinyConfig("LlamaForCausalLM", { tie_word_embeddings: fields.tie_word_embeddings });
    const folder = await writeCheckpoint({ ...config, ...fields }, tinyTensors(config));
    const reads: unknown[] = [];
    const load = loadModel(folder, {
      stream: device.createStream(),
      onProgress: (progress) => reads.push(progress),
    });
    await expect(load).rejects.toMatchObject({
      code: "ERR_CHECKPOINT_TENSOR",
      tensor: "model.embed_tokens.weight",
      message: expect.stringContaining(
        "model.embed_tokens.weight (shape: expected [40, 24] (vocab_size, hidden_size), got [37, 24])",
      ) as unknown,
    });
    expect(reads).toEqual([]);
  });
});
