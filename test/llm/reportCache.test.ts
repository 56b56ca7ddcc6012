// Contract: a load says how the blocks of the cache are divided among layers of several lifetimes, and the share of each group that
// lies fallow; of layers of one lifetime it says nothing.
import { expect, it } from "vitest";
import { LLM } from "../../lib/llm/llm.js";
import { reportCache } from "../../lib/llm/reportCache.js";
import { stateLayout, type StateSpec } from "../../lib/nn/state.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

/** What a load reports of a Qwen3 whose layers have a window (s) or see everything (f). */
async function reportOf(types: string): Promise<unknown[]> {
  const names = { s: "sliding_attention", f: "full_attention" } as const;
  const config = tinyConfig("Qwen3ForCausalLM", {
    ...{ num_hidden_layers: types.length, use_sliding_window: true, sliding_window: 8, max_window_layers: 0 },
    layer_types: [...types].map((type) => names[type as keyof typeof names]),
  });
  const messages: unknown[] = [];
  const llm = await LLM.load(await writeCheckpoint(config, tinyTensors(config)), {
    ...{ device: "cpu", threads: 1, dtype: "f32", kvCacheBytes: 10 * 12_288 * types.length },
    onProgress: ({ phase, message }) => phase === "cache" && messages.push(message),
  });
  await llm.close();
  return messages;
}

it("of several lifetimes: pages of a block and what is left of it", async () => {
  // a page of a layer: 16 tokens, keys and values of two heads of 16 f32, 4096 bytes
  expect(await reportOf("ssfs")).toEqual([
    "KV cache: 40 blocks of 12288 bytes; 3 layers with window 8: 1 page of 16 tokens a block, 0.0 % unused; " +
      "1 layer: 3 pages of 16 tokens a block, 0.0 % unused",
  ]);
});

it("a fifth of a block would lie fallow: the larger group is divided", async () => {
  const [message] = await reportOf("sssssff");
  expect(String(message).split("; ").slice(1)).toEqual([
    "2 layers with window 8: 1 page of 16 tokens a block, 0.0 % unused",
    "1 layer with window 8: 2 pages of 16 tokens a block, 0.0 % unused",
    "2 layers with window 8: 1 page of 16 tokens a block, 0.0 % unused",
    "2 layers: 1 page of 16 tokens a block, 0.0 % unused",
  ]);
});

it.each(["f", "fff", "ss"])("of one lifetime, nothing: %s", async (types) => {
  expect(await reportOf(types)).toEqual([]);
});

it("slots beside pages", () => {
  const slot: StateSpec = { lifetime: "slot", tensors: { s: { dtype: "f32", shape: [3000] } } };
  const kept: StateSpec = { lifetime: "all", tensors: { k: { dtype: "f32", shape: [64] } } };
  const layout = stateLayout([slot, kept, slot], { pageSize: 16, longest: 99 });
  const messages: unknown[] = [];
  reportCache({ layout, numBlocks: 7 }, ({ message }) => messages.push(message));
  expect(messages).toEqual([
    "KV cache: 7 blocks of 12288 bytes; 1 layer: 2 pages of 16 tokens a block, 33.3 % unused; " +
      "2 layers: a block for each sequence and layer",
  ]);
});
