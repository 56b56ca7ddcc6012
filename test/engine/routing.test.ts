// Contract: LLM.routing tells, for every layer, the experts that the model itself sends each token to, in any chunks and
// while others generate; it takes nothing from the engine, and bad token ids give a typed error.
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { LLM } from "../../lib/llm/llm.js";
import { traceRouting } from "../../lib/engine/routing.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Model } from "../../lib/models/model.js";
import type { Stream } from "../../lib/device/stream.js";
import { OpContext, openTestDevice, type TestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";
import { runModel } from "../support/runModel.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import { toyModel } from "../support/toyMixer.js";

const folder = (name: string): string => fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
const ids = (count: number): number[] => [...new Random(count).tokenIds(count, 1000)];

describe("traceRouting", () => {
  let device: Device;
  let stream: Stream;
  let model: Model;

  beforeAll(async () => {
    device = openTestDevice();
    stream = device.createStream();
    model = await loadModel(folder("tiny-moe"), { stream });
  });
  afterAll(() => device.dispose());

  const cases = [
    { T: 1, chunkTokens: 512 },
    { T: 16, chunkTokens: 16 },
    { T: 17, chunkTokens: 16 },
    { T: 65, chunkTokens: 7 },
    { T: 65, chunkTokens: 512 },
  ];

  it.each(cases)(
    "is what the model does with $T tokens, $chunkTokens at once",
    async ({ T, chunkTokens }) => {
      const { numLayers, numExperts, expertsPerToken } = model.shape;
      const observed: Promise<unknown>[] = [];
      await runModel(model, stream, [ids(T)], {
        tap: { name: "experts", onTap: (_layer, experts) => void observed.push(experts) },
      });

      const layers = await traceRouting(model, stream, ids(T), { chunkTokens });

      expect(layers).toEqual(await Promise.all(observed));
      expect(layers.map((experts) => experts.length)).toEqual(Array(numLayers).fill(T * expertsPerToken));
      for (const experts of layers) {
        expect(Math.min(...experts)).toBeGreaterThanOrEqual(0);
        expect(Math.max(...experts)).toBeLessThan(numExperts);
        for (let t = 0; t < T; t++) {
          expect(new Set(experts.subarray(t * expertsPerToken, (t + 1) * expertsPerToken)).size).toBe(
            expertsPerToken,
          );
        }
      }
    },
  );
});

describe("traceRouting of other models", () => {
  it("whose layers see windows or everything", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const config = tinyConfig("Qwen3MoeForCausalLM", {
      ...{ num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 12, norm_topk_prob: true },
      ...{ num_hidden_layers: 4, use_sliding_window: true, max_window_layers: 0, sliding_window: 8 },
      layer_types: ["s", "f", "s", "s"].map((type) =>
        type === "s" ? "sliding_attention" : "full_attention",
      ),
    });
    const checkpoint = await writeCheckpoint(config, tinyTensors(config));
    const model = await loadModel(checkpoint, { stream, dtype: "f32" });
    const tokens = ids(65).map((id) => id % 37);
    const tapped: Promise<unknown>[] = [];
    const onTap = (_layer: number, experts: Promise<unknown>) => void tapped.push(experts);
    await runModel(model, stream, [tokens], { tap: { name: "experts", onTap } });
    const layers = await traceRouting(model, stream, tokens, { chunkTokens: 7 });
    expect(layers).toEqual(await Promise.all(tapped));
  });

  it("whose layers keep slots", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const context = new OpContext(device.name as TestDevice, device, stream);
    const sizes = { dtype: "f32", maxPositions: 80, maxSequences: 1 } as const;
    const model = toyModel(context, { layers: "mfms", ...sizes });
    const tokens = ids(65).map((id) => id % 37);
    expect(await traceRouting(model, stream, tokens, { chunkTokens: 7 })).toEqual(
      Array(4).fill(new Int32Array(0)),
    );
    await stream.synchronize();
  });
});

describe("LLM.routing", () => {
  it("runs beside requests and changes none of their tokens", async () => {
    await using llm = await LLM.load(folder("tiny-moe"));
    const options = { maxTokens: 60, ignoreEos: true };
    const alone = await llm.generate(ids(30), options).result();
    const routedAlone = await llm.routing(ids(600));

    const [together, ...routed] = await Promise.all([
      llm.generate(ids(30), options).result(),
      ...Array.from({ length: 3 }, () => llm.routing(ids(600))),
    ]);

    expect(together.tokenIds).toEqual(alone.tokenIds);
    for (const layers of routed) expect(layers).toEqual(routedAlone);
    llm.checkIntegrity();
  });

  it("is empty for layers without experts", async () => {
    await using llm = await LLM.load(folder("tiny-draft"));
    const layers = await llm.routing(ids(20));
    expect(layers).toEqual(Array(llm.shape.numLayers).fill(new Int32Array(0)));
  });

  it("names what is wrong", async () => {
    const llm = await LLM.load(folder("tiny-moe"), { contextLength: 64 });
    const code = (expected: string) => expect.objectContaining({ code: expected });
    await expect(llm.routing([])).rejects.toThrow("tokenIds: expected at least one token");
    await expect(llm.routing([1, -1])).rejects.toThrow(/^tokenIds\[1\]: expected a token id from 0 to/);
    await expect(llm.routing(["a"] as unknown as number[])).rejects.toThrow(code("ERR_ARGUMENT_RANGE"));
    await expect(llm.routing(ids(65))).rejects.toThrow(code("ERR_CONTEXT_LENGTH"));
    expect(await llm.routing(ids(64))).toHaveLength(llm.shape.numLayers);
    const running = llm.routing(ids(64));
    await llm.close();
    await running.catch((error: unknown) => expect(error).toEqual(code("ERR_CLOSED")));
    await expect(llm.routing([1])).rejects.toThrow(code("ERR_CLOSED"));
  });
});
