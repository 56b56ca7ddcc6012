// Contract: what lies behind a window is given back while the request runs. A pool whose free blocks are full of NaN gives, bit for
// bit, what one gives that keeps everything: in chunks, batched, preempted, found in the prefix cache, in captured graphs. Qwen3,
// Qwen3-MoE and Mixtral with layers of a window beside layers that see everything, and two kinds of windows in one model.
import { describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import { type BareAsk, BareEngine, type BareOptions } from "../llm/bareEngine.js";
import { openTestDevice } from "../support/devices.js";
import { poisonFree } from "../support/poisonFree.js";
import { Random } from "../support/random.js";
import { type TinyConfig, tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const window = 8;
const layers = { s: "sliding_attention", f: "full_attention" } as const;
/** @param types a letter for each layer */
const mixed = (types: string, fields: object = {}) => ({
  ...{ num_hidden_layers: types.length, max_position_embeddings: 512, sliding_window: window },
  ...{ head_dim: 64 }, // tensor cores
  layer_types: [...types].map((type) => layers[type as keyof typeof layers]),
  ...fields,
});
const experts = { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 12, norm_topk_prob: true };
const switchedOn = { use_sliding_window: true, max_window_layers: 0 };

/** Names of a Qwen3-MoE checkpoint as Mixtral spells them. */
const mixtralNames: readonly (readonly [RegExp, string])[] = [
  [/mlp\.gate\./, "block_sparse_moe.gate."],
  [/mlp\.experts\.(\d+)\.gate_proj/, "block_sparse_moe.experts.$1.w1"],
  [/mlp\.experts\.(\d+)\.up_proj/, "block_sparse_moe.experts.$1.w3"],
  [/mlp\.experts\.(\d+)\.down_proj/, "block_sparse_moe.experts.$1.w2"],
];

interface Family {
  readonly name: string;
  readonly config: TinyConfig;
}

const families: readonly Family[] = [
  {
    name: "Qwen3, three layers of four",
    config: tinyConfig("Qwen3ForCausalLM", mixed("ssfs", switchedOn)),
  },
  {
    name: "Qwen3, every layer",
    config: tinyConfig("Qwen3ForCausalLM", mixed("ss", switchedOn)),
  },
  {
    name: "Qwen3-MoE, one layer of three",
    config: tinyConfig("Qwen3MoeForCausalLM", mixed("fsf", { ...experts, ...switchedOn })),
  },
  {
    name: "Mixtral, one layer of two",
    config: tinyConfig("MixtralForCausalLM", mixed("sf", experts)),
  },
];

async function checkpoint(config: TinyConfig): Promise<string> {
  if (!config.architectures[0].startsWith("Mixtral")) return writeCheckpoint(config, tinyTensors(config));
  const tensors = tinyTensors({ ...config, architectures: ["Qwen3MoeForCausalLM"] });
  const own = [...tensors].filter(([name]) => !/[qk]_norm/.test(name));
  const renamed = own.map(([name, tensor]) => {
    return [mixtralNames.reduce((text, [from, to]) => text.replace(from, to), name), tensor] as const;
  });
  const { num_experts, moe_intermediate_size, norm_topk_prob: _, ...rest } = config;
  const fields = { num_local_experts: num_experts, intermediate_size: moe_intermediate_size };
  return writeCheckpoint({ ...rest, ...fields }, new Map(renamed));
}

const device = openTestDevice();
const isSimt = device.name === "simt";
await device.dispose();
const perRequest = isSimt ? 14 : 60;

function asks(count: number): readonly BareAsk[] {
  const random = new Random(5);
  const ids = (length: number) => Array.from({ length }, () => Math.floor(random.uniform() * 37));
  return Array.from({ length: count }, (_, i) => ({
    prompt: ids([30, 3, 17, 45, 1][i % 5]!),
    options: { maxTokens: perRequest - 7 * (i % 3), logprobs: 2, ignoreEos: true },
  }));
}

const size = { pageSize: 4, maxSequences: 4, maxStepTokens: 16, contextLength: 256 } as const;
type Options = Partial<BareOptions>;

/** Everything that the requests give, all at once or one after the other. */
async function run(folder: string, all: readonly BareAsk[], options: Options = {}, isTogether = true) {
  const engine = await BareEngine.open(folder, { ...size, pages: 400, prefixCache: false, ...options });
  return engine.runAll(all, { isTogether });
}

describe.each(families)("$name", ({ config }) => {
  for (const dtype of isSimt ? (["bf16"] as const) : (["f32", "bf16"] as const)) {
    it(
      `${dtype}: free blocks may hold anything, also those behind a window`,
      { timeout: 300_000 },
      async () => {
        const folder = await checkpoint(config);
        const all = asks(isSimt ? 2 : 5);
        const expected = await run(folder, all, { dtype, keepsAll: true });
        const afterStep = poisonFree();
        const freed = await run(folder, all, { dtype, afterStep });
        expect(freed.results).toEqual(expected.results);
        expect(afterStep.count).toBeGreaterThan(isSimt ? 4 : 40);
      },
    );
  }

  it.skipIf(isSimt)("gives the same alone, and preempted in a small pool", async () => {
    const folder = await checkpoint(config);
    const all = asks(6);
    const expected = await run(folder, all, { dtype: "f32", keepsAll: true });
    const alone = await run(folder, all, { dtype: "f32", afterStep: poisonFree() }, false);
    expect(alone.results).toEqual(expected.results);
    // Little more than what the longest request needs alone.
    const isMixed = `${config["layer_types"] as string[]}`.includes("full");
    const pages = isMixed ? 36 : 8;
    const small = await run(folder, all, { dtype: "f32", pages, afterStep: poisonFree() });
    expect(small.results).toEqual(expected.results);
    expect(small.stats).toMatchObject({ usedPages: 0 });
    // Windows alone give back what they take: nobody has to go.
    if (isMixed) expect(small.stats.preemptions).toBeGreaterThan(0);
    else expect(small.stats.preemptions).toBe(0);
  });

  it.skipIf(isSimt)("gives the same behind a prefix that was found, whose head is long gone", async () => {
    const folder = await checkpoint(config);
    const [first] = asks(4).slice(3);
    const again = { ...first!, prompt: [...first!.prompt, 5, 6, 7] };
    const expected = await run(folder, [first!, again], { dtype: "f32", keepsAll: true });
    const found = await run(folder, [first!, again], { dtype: "f32", prefixCache: true }, false);
    expect(found.results).toEqual(expected.results);
    expect(found.stats.prefix.hits).toBeGreaterThanOrEqual(36);
  });
});

describe.skipIf(isSimt)("memory", () => {
  it("of a model whose layers all have a window stays the same over 20 windows and more", async () => {
    const folder = await checkpoint(tinyConfig("Qwen3ForCausalLM", mixed("sss", switchedOn)));
    const used: number[] = [];
    const options: GenerateOptions = { maxTokens: 25 * window, ignoreEos: true };
    await run(folder, [{ prompt: [1, 2, 3], options }], {
      afterStep: (scheduler) => void used.push(scheduler.stats.usedPages),
    });
    expect(used).toHaveLength(25 * window);
    // A window of 8 lies in 3 pages of 4 tokens at most.
    expect(Math.max(...used.slice(0, 5 * window))).toBe(3);
    expect(Math.max(...used.slice(5 * window))).toBe(3);
  });

  it("of a pool for one window is enough for a context of any length", async () => {
    const folder = await checkpoint(tinyConfig("Qwen3ForCausalLM", mixed("sss", switchedOn)));
    const all = [{ prompt: Array.from({ length: 200 }, (_, i) => i % 37), options: { maxTokens: 20 } }];
    const expected = await run(folder, all, { keepsAll: true });
    const small = await run(folder, all, { pages: 7 });
    expect(small.results).toEqual(expected.results);
  });
});
