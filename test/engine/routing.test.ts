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
import { openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";
import { runModel } from "../support/runModel.js";

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
        observe: (_layer, experts) => observed.push(experts.read(stream)),
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
