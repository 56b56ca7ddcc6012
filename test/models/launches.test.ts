// Contract: a layer of a decode step, or of prompts, takes so many launches and no more, one sequence or many, counted by a trace of the
// engine's runner (as `npm run bench:layers` prints them). On the GPU every launch costs more than what little it does for
// one token.
import { expect, test } from "vitest";
import { ModelSteps } from "../../bench/support/modelSteps.js";
import { repeatedPart } from "../../bench/support/repeatedPart.js";
import { testDeviceName } from "../support/devices.js";
import { goldenFolder } from "../support/goldenFolder.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const steps = 4; // prefill, the first decode, its first replay, the one that is traced
const experts = { num_experts_per_tok: 2, moe_intermediate_size: 12 };
const glm = { ...experts, n_routed_experts: 4, n_shared_experts: 1, first_k_dense_replace: 0 };
const qwen2Moe = { ...experts, num_experts: 4, shared_expert_intermediate_size: 20 };
const gptOss = {
  ...{ num_local_experts: 4, num_experts_per_tok: 2, attention_bias: true },
  layer_types: ["full_attention", "full_attention"],
};
const tiny = async (architecture: string, fields: Readonly<Record<string, unknown>>): Promise<string> => {
  const config = tinyConfig(architecture, fields);
  return writeCheckpoint(config, tinyTensors(config));
};

interface Case {
  readonly model: string;
  readonly folder: () => string | Promise<string>;
  readonly cpu: number;
  readonly gpu: number;
  readonly expertCounts?: boolean;
  readonly kvDtype?: "fp8";
  /** So many layers are alike; default all. */
  readonly alike?: number;
  /** Of the first step, which runs the prompts; default: a replayed decode. */
  readonly isPrompt?: boolean;
  /** Sequences; default 1, 8 and 32. */
  readonly counts?: readonly number[];
}

const cases: readonly Case[] = [
  { model: "tiny-draft", folder: () => "models/tiny-draft", cpu: 8, gpu: 8 },
  { model: "tiny-moe", folder: () => "models/tiny-moe", cpu: 11, gpu: 11 },
  { model: "tiny-moe, counted", folder: () => "models/tiny-moe", cpu: 12, gpu: 12, expertCounts: true },
  {
    model: "gpt-oss, its biases and clamp",
    folder: () => tiny("GptOssForCausalLM", gptOss),
    cpu: 11,
    gpu: 11,
  },
  { model: "a shared expert", folder: () => tiny("Glm4MoeForCausalLM", glm), cpu: 13, gpu: 13 },
  { model: "one with a gate", folder: () => tiny("Qwen2MoeForCausalLM", qwen2Moe), cpu: 15, gpu: 15 },
  // The first layer has no experts.
  { model: "DeepSeek V2", folder: () => goldenFolder("deepseek_v2"), cpu: 18, gpu: 18, alike: 2 },
  { model: "DeepSeek V3", folder: () => goldenFolder("deepseek_v3"), cpu: 19, gpu: 19, alike: 2 },
  // Up-projected on a GPU. Of several sequences it does not know which tiles there are, and of many tokens the choice takes more launches.
  {
    ...{ model: "DeepSeek V3, of a prompt", folder: () => goldenFolder("deepseek_v3") },
    ...{ cpu: 19, gpu: 24, alike: 2, isPrompt: true, counts: [1] },
  },
  {
    ...{ model: "DeepSeek V3, of prompts", folder: () => goldenFolder("deepseek_v3") },
    ...{ cpu: 19, gpu: 28, alike: 2, isPrompt: true, counts: [8] },
  },
  // Latents become codes where they are stored in any case. Their prompts are absorbed.
  {
    ...{ model: "DeepSeek V3, latents in fp8", folder: () => goldenFolder("deepseek_v3"), kvDtype: "fp8" },
    ...{ cpu: 19, gpu: 19, alike: 2 },
  },
  {
    ...{
      model: "DeepSeek V3, of a prompt, in fp8",
      folder: () => goldenFolder("deepseek_v3"),
      kvDtype: "fp8",
    },
    ...{ cpu: 19, gpu: 19, alike: 2, isPrompt: true, counts: [1] },
  },
];

test.each(cases.flatMap((each) => (each.counts ?? [1, 8, 32]).map((sequences) => ({ ...each, sequences }))))(
  "a layer of $model, $sequences sequences",
  async ({ folder, cpu, gpu, sequences, expertCounts, kvDtype, alike, isPrompt }) => {
    const options = { device: testDeviceName(), sequences, expertCounts, kvDtype };
    await using run = await ModelSteps.open(await folder(), options);
    for (let i = 0; i < sequences; i++) run.add(Math.min(40, 320 / sequences), steps + 1);
    for (let i = 1; i < steps && !isPrompt; i++) await run.step();
    const trace = run.stream.trace();
    await run.step();
    const ops = (await trace.end()).filter(({ bytes }) => bytes === 0);
    const names = ops.map(({ op, kernel, launches }) => `${op}, ${kernel}, ${launches}`);
    const { start, length } = repeatedPart(names, alike ?? run.model.shape.numLayers);
    const launches = ops.slice(start, start + length).reduce((sum, row) => sum + row.launches, 0);
    expect(launches, names.join("; ")).toBe(run.device.name === "cpu" ? cpu : gpu);
  },
);
