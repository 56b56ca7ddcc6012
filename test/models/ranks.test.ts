// Contract: a model that ranks share (heads, widths, experts) computes what one rank computes, but for the order of sums; the stages
// of a pipeline compute the same bits; what cannot be divided is refused by name.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { type Shard, wholeModel } from "../../lib/weights/shard.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits, goldenFamilies, readGolden } from "../support/goldens.js";
import { inPipeline, loadRank, Meeting, runRanks } from "../support/ranks.js";
import { runModel, type RunOptions } from "../support/runModel.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

/** Norm of the difference over norm of the logits, as in variants.test.ts. */
const tolerances: Readonly<Record<FloatDType, number>> = { f32: 1e-5, bf16: 4e-2, f16: 5e-3 };

/** So many ranks, each with a part of heads and widths, of experts, or of both. */
function ranksOf({ tp = 1, ep = 1 }: { readonly tp?: number; readonly ep?: number }): Shard[] {
  return Array.from({ length: Math.max(tp, ep) }, (_, rank) => ({
    tp: { rank: tp > 1 ? rank : 0, size: tp },
    ep: { rank: ep > 1 ? rank : 0, size: ep },
  }));
}

async function expectShared(
  folder: string,
  tokens: readonly number[],
  sizes: { readonly tp?: number; readonly ep?: number },
  dtype: FloatDType,
  isShared = true,
): Promise<void> {
  const whole = await loadModel(folder, { stream, dtype });
  const [expected] = await runModel(whole, stream, [tokens]);
  const meeting = new Meeting();
  const { tp = 1, ep = 1 } = sizes;
  const sums = { ...(tp > 1 && { tp: meeting.sum }), ...(ep > 1 && { ep: meeting.sum }) };
  const ranks = await Promise.all(
    ranksOf(sizes).map((shard) => loadRank(folder, shard, { stream, dtype, sums })),
  );
  const chunk = Math.ceil(tokens.length / 2);
  for (const logits of await runRanks(ranks, meeting, stream, tokens, { chunk })) {
    const { relative } = compareLogits(logits, expected!, whole.shape.vocabSize);
    expect(relative).toBeLessThan(tolerances[dtype]);
  }
  expect(meeting.count > 0).toBe(isShared);
  for (const model of [whole, ...ranks]) model.dispose();
}

const tokensOf = (vocabSize: number) => Array.from({ length: 21 }, (_, t) => (t * 7 + 3) % vocabSize);

describe("ranks that share a model", () => {
  it("route every token alike, whichever experts they have", async () => {
    const { folder, sequences } = await readGolden("qwen3_moe");
    const { tokens } = sequences[0]!;
    const chosen = async (run: (tap: RunOptions["tap"]) => Promise<unknown>): Promise<unknown[]> => {
      const seen: Promise<unknown>[] = [];
      await run({ name: "experts", onTap: (_layer, experts) => void seen.push(experts) });
      return Promise.all(seen);
    };
    const whole = await loadModel(folder, { stream, dtype: "f32" });
    const expected = await chosen((tap) => runModel(whole, stream, [tokens], { tap }));
    const meeting = new Meeting();
    const sums = { tp: meeting.sum, ep: meeting.sum };
    const shards = ranksOf({ tp: 2, ep: 2 });
    const ranks = await Promise.all(
      shards.map((shard) => loadRank(folder, shard, { stream, dtype: "f32", sums })),
    );
    await runRanks(ranks, meeting, stream, tokens);
    for (const rank of ranks) {
      meeting.begin();
      expect(await chosen((tap) => runModel(rank, stream, [tokens], { tap }))).toEqual(expected);
    }
    for (const model of [whole, ...ranks]) model.dispose();
  });

  const each = goldenFamilies.flatMap((family) =>
    (["f32", "bf16"] as const).map((dtype) => ({ family, dtype })),
  );
  it.each(each)("two of $family in $dtype give the logits of one", async ({ family, dtype }) => {
    const { folder, sequences } = await readGolden(family);
    const isMoe = /deepseek|moe|gpt_oss|mixtral/.test(family);
    const ep = isMoe ? 2 : 1;
    const isShared = family !== "mamba2"; // each rank computes all of it
    await expectShared(folder, sequences[0]!.tokens, { tp: 2, ep }, dtype, isShared);
  });

  const moe = { num_experts: 6, num_experts_per_tok: 3, moe_intermediate_size: 12 };
  const glm = { num_experts_per_tok: 3, moe_intermediate_size: 12, n_routed_experts: 6 };
  const shared = { ...glm, n_shared_experts: 2, first_k_dense_replace: 1 };
  const gated = { ...moe, shared_expert_intermediate_size: 18 };
  const olmoe = { num_experts: 6, num_experts_per_tok: 3, intermediate_size: 12 };
  const stacked = { num_local_experts: 6, num_experts_per_tok: 3, intermediate_size: 12 };
  const gptOss = { ...stacked, attention_bias: true };
  const mixed = { ...moe, num_hidden_layers: 3, mlp_only_layers: [1] };
  it.each([
    { name: "one key head, which both have", fields: { num_key_value_heads: 1 }, tp: 2 },
    { name: "two key heads for four ranks", fields: {}, tp: 4 },
    { name: "biases, which are added once", fields: { attention_bias: true, mlp_bias: true }, tp: 2 },
    { name: "an odd width", fields: { intermediate_size: 18 }, tp: 2, dtype: "bf16" as const },
    { name: "a tied head", fields: { tie_word_embeddings: true }, tp: 2 },
    { name: "q, k and v in one tensor", architecture: "Phi3ForCausalLM", fields: {}, tp: 2 },
    {
      name: "q, k and v in one tensor, key heads of two ranks",
      architecture: "Phi3ForCausalLM",
      fields: {},
      tp: 4,
    },
    { name: "pairs of neighbours", architecture: "Glm4ForCausalLM", fields: { attention_bias: true }, tp: 4 },
    { name: "norms of all heads", architecture: "Olmo2ForCausalLM", fields: {}, tp: 2 },
    {
      name: "norms of all heads, key heads of two ranks",
      architecture: "Olmo2ForCausalLM",
      fields: {},
      tp: 4,
    },
    {
      name: "layer norms, and biases of an MLP without gate",
      ...{
        architecture: "Starcoder2ForCausalLM",
        fields: { use_bias: true, tie_word_embeddings: true },
        tp: 2,
      },
    },
    {
      name: "attention and feed-forward side by side, summed once",
      ...{
        architecture: "CohereForCausalLM",
        fields: { attention_bias: true, tie_word_embeddings: true },
        tp: 4,
      },
    },
    { name: "experts alone", architecture: "Qwen3MoeForCausalLM", fields: moe, ep: 3 },
    { name: "heads alone", architecture: "Qwen3MoeForCausalLM", fields: moe, tp: 2 },
    { name: "a shared expert, experts alone", architecture: "Glm4MoeForCausalLM", fields: shared, ep: 3 },
    { name: "a shared expert, heads alone", architecture: "Glm4MoeForCausalLM", fields: shared, tp: 2 },
    {
      name: "a shared expert in bf16",
      architecture: "Glm4MoeForCausalLM",
      fields: shared,
      tp: 2,
      ep: 2,
      dtype: "bf16" as const,
    },
    { name: "a shared expert with a gate", architecture: "Qwen2MoeForCausalLM", fields: gated, tp: 2, ep: 2 },
    {
      name: "a shared expert with a gate, experts alone",
      architecture: "Qwen2MoeForCausalLM",
      fields: gated,
      ep: 3,
    },
    { name: "experts with biases", architecture: "GptOssForCausalLM", fields: gptOss, ep: 3 },
    { name: "sinks of heads", architecture: "GptOssForCausalLM", fields: gptOss, tp: 4 },
    {
      name: "experts behind norms over all heads",
      architecture: "OlmoeForCausalLM",
      fields: olmoe,
      tp: 2,
      ep: 2,
    },
    { name: "experts in one tensor", architecture: "GraniteMoeForCausalLM", fields: stacked, tp: 2, ep: 2 },
    { name: "dense layers among sparse", architecture: "Qwen3MoeForCausalLM", fields: mixed, tp: 2, ep: 2 },
  ])("$name", async (shared) => {
    const { architecture = "LlamaForCausalLM", fields, dtype = "f32" as const, ...sizes } = shared;
    const config = tinyConfig(architecture, fields);
    const folder = await writeCheckpoint(config, tinyTensors(config));
    await expectShared(folder, tokensOf(config.vocab_size), sizes, dtype);
  });

  it("are refused where a model cannot be divided, or nobody sums", async () => {
    const { folder } = await readGolden("llama");
    const first = (tp: number) => ranksOf({ tp })[0]!;
    const options = { stream, dtype: "f32", sums: { tp: () => undefined } } as const;
    await expect(loadRank(folder, first(8), options)).rejects.toThrow(
      "shard: 4 heads of qkv cannot be divided among 8 ranks",
    );
    const odd = tinyConfig("LlamaForCausalLM", { intermediate_size: 18 });
    await expect(loadRank(await writeCheckpoint(odd, tinyTensors(odd)), first(4), options)).rejects.toThrow(
      "shard: 18 outputs of gateUp cannot be divided among 4 ranks",
    );
    const five = {
      n_routed_experts: 8,
      num_experts_per_tok: 2,
      moe_intermediate_size: 5,
      n_shared_experts: 1,
    };
    const shared = tinyConfig("Glm4MoeForCausalLM", five);
    const ofExperts = { ...wholeModel, ep: { rank: 0, size: 2 } };
    await expect(
      loadRank(await writeCheckpoint(shared, tinyTensors(shared)), ofExperts, {
        ...{ stream, dtype: "f32", sums: { ep: () => undefined } },
      }),
    ).rejects.toThrow("shard: 5 outputs of sharedGateUp cannot be divided among 2 ranks");
    await expect(loadRank(folder, first(2), { stream, dtype: "f32" })).rejects.toThrow(
      "build: sums: expected one for the 2 ranks of tp",
    );
    const beyond = { ...wholeModel, tp: { rank: 2, size: 2 } };
    await expect(loadRank(folder, beyond, options)).rejects.toThrow(
      "shard: tp: expected a rank below the size, got 2 of 2",
    );
  });
});

describe("stages of a pipeline", () => {
  const config = tinyConfig("Qwen3MoeForCausalLM", {
    ...{ num_hidden_layers: 3, num_experts: 5, num_experts_per_tok: 2, moe_intermediate_size: 12 },
    ...{ mlp_only_layers: [1], tie_word_embeddings: true },
  });
  const stage = (start: number, count: number): Shard => ({ ...wholeModel, layers: { start, count } });

  it.each([...goldenFamilies, "tied"] as const)("of %s give the bits of one", async (family) => {
    const folder =
      family === "tied"
        ? await writeCheckpoint(config, tinyTensors(config))
        : (await readGolden(family)).folder;
    const whole = await loadModel(folder, { stream, dtype: "f32" });
    const { numLayers, vocabSize } = whole.shape;
    const load = (shard: Shard) => loadRank(folder, shard, { stream, dtype: "f32" });
    const middle = numLayers > 2 ? [stage(1, numLayers - 2)] : [];
    const stages = await Promise.all([stage(0, 1), ...middle, stage(numLayers - 1, 1)].map(load));
    expect(stages.flatMap(({ taps }) => taps)).toEqual(whole.taps);
    for (const { shape } of stages) expect(shape.weightBytes).toBeLessThan(whole.shape.weightBytes);
    const tokens = tokensOf(vocabSize);
    const run = (model: typeof whole) => runModel(model, stream, [tokens], { chunk: 8 });
    expect(await run(inPipeline(stages))).toEqual(await run(whole));
    for (const model of [whole, ...stages]) model.dispose();
  });

  it("can be shared by ranks", async () => {
    const { folder, sequences } = await readGolden("qwen3_moe");
    const [meeting, tokens] = [new Meeting(), sequences[0]!.tokens];
    const sums = { tp: meeting.sum, ep: meeting.sum };
    const ranks = await Promise.all(
      ranksOf({ tp: 2, ep: 2 }).map(async (shard) => {
        const load = (start: number) =>
          loadRank(folder, { ...shard, layers: { start, count: 1 } }, { stream, dtype: "f32", sums });
        return inPipeline(await Promise.all([0, 1].map(load)));
      }),
    );
    const whole = await loadModel(folder, { stream, dtype: "f32" });
    const [expected] = await runModel(whole, stream, [tokens]);
    for (const logits of await runRanks(ranks, meeting, stream, tokens))
      expect(compareLogits(logits, expected!, whole.shape.vocabSize).relative).toBeLessThan(tolerances.f32);
  });

  it("take a residual stream or make one, and only the last has a head", async () => {
    const { folder } = await readGolden("llama");
    const [first, last] = await Promise.all(
      [stage(0, 1), stage(1, 1)].map((shard) => loadRank(folder, shard, { stream, dtype: "f32" })),
    );
    await expect(runModel(last!, stream, [[1, 2]])).rejects.toThrow(
      "decoder: residual: expected that of the stage before, got none",
    );
    await expect(runModel(first!, stream, [[1, 2]])).rejects.toThrow(
      "decoder: logits: this stage of the model has no head",
    );
    for (const model of [first!, last!]) model.dispose();
    await expect(loadRank(folder, stage(1, 9), { stream, dtype: "f32" })).rejects.toThrow(
      "shard: layers: expected some of the 2, got 9 from 1 on",
    );
  });
});
