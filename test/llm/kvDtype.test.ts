// Contract: `kvDtype` chooses what keys and values are kept in. Pages take the bytes that it says; the same request gives the same tokens
// and log probabilities bit for bit alone, batched, behind a prefix that was found, preempted, without graphs; the logits stay near those
// of floats; a model that keeps something else refuses it by name.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { KvDType } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { kvDtypeOf } from "../../lib/nn/kvDtype.js";
import { stateLayout } from "../../lib/nn/state.js";
import type { Shard } from "../../lib/weights/shard.js";
import { Random } from "../schedule/random.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits, readGolden } from "../support/goldens.js";
import { loadRank, Meeting, runRanks } from "../support/ranks.js";
import { runModel } from "../support/runModel.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import { type Ask, ask, essence, goldenFolder, loadLLM, randomPrompt, withLLM } from "./checkpoints.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());
const isSimt = openTestDevice().name === "simt";

const codes = ["int8", "fp8"] as const;
/** Largest relative error of a rounded value: of the largest element of a head, or of each element. */
const roundoff = { int8: 1 / 254, fp8: 2 ** -4 };

function asks(count: number): Ask[] {
  const random = new Random(7);
  const common = randomPrompt(random, 40);
  return Array.from({ length: count }, (_, i) => ({
    prompt: [...(i % 2 === 0 ? common : []), ...randomPrompt(random, 3 + 9 * (i % 3))],
    options: { maxTokens: 24, ignoreEos: true, logprobs: 2, temperature: i % 3 === 0 ? 1 : 0, seed: i },
  }));
}

describe.skipIf(isSimt).each(codes)("%s", (kvDtype) => {
  const folder = goldenFolder("qwen3");

  it.each(["f32", "bf16"] as const)("gives the same however requests run, dtype %s", async (dtype) => {
    const all = asks(8);
    const single = { dtype, kvDtype, maxSequences: 1, prefixCache: false, graphs: false };
    const alone = await withLLM(folder, single, async (llm) => (await ask(llm, all)).map(essence));
    for (const options of [{}, { pageSize: 3 }, { maxStepTokens: 17, maxSequences: 5 }, { threads: 2 }]) {
      await withLLM(folder, { dtype, kvDtype, ...options }, async (llm) => {
        expect((await ask(llm, all)).map(essence)).toEqual(alone);
        expect((await ask(llm, all)).map(essence)).toEqual(alone);
        expect(llm.stats().prefix.hits).toBeGreaterThan(0);
      });
    }
    const { blockBytes } = await layoutOf(folder, kvDtype);
    const small = { maxSequences: 8, maxStepTokens: 64, kvCacheBytes: 14 * blockBytes };
    await withLLM(folder, { dtype, kvDtype, ...small }, async (llm) => {
      expect((await ask(llm, all)).map(essence)).toEqual(alone);
      expect(llm.stats().preemptions).toBeGreaterThan(0);
    });
  });

  it("keeps a byte of each element and four of each head", async () => {
    const model = await loadModel(folder, { stream, kvDtype, dtype: "bf16" });
    const { numLayers, numKvHeads, headDim } = model.shape;
    model.dispose();
    const aligned = (bytes: number) => Math.ceil(bytes / 256) * 256;
    const perLayer = 2 * (aligned(16 * numKvHeads * headDim) + aligned(16 * numKvHeads * 4));
    const { blockBytes } = await layoutOf(folder, kvDtype);
    expect(blockBytes).toBe(numLayers * perLayer);
    const kvCacheBytes = 40 * blockBytes + 1;
    await withLLM(folder, { kvDtype, kvCacheBytes }, (llm) => {
      expect(llm.stats().kvPages).toBe(40);
      return Promise.resolve();
    });
  });
});

async function layoutOf(folder: string, kvDtype: (typeof codes)[number] | "auto") {
  const model = await loadModel(folder, { stream, kvDtype, dtype: "bf16" });
  const layout = stateLayout(model.state, { pageSize: 16, longest: model.shape.maxPositions });
  model.dispose();
  return layout;
}

describe("logits", () => {
  const tokens = Array.from({ length: 45 }, (_, t) => (t * 7 + 3) % 37);
  const families = [
    { name: "Qwen3", config: tinyConfig("Qwen3ForCausalLM", { head_dim: 64 }) },
    { name: "Gemma 2", config: tinyConfig("Gemma2ForCausalLM", { sliding_window: 9, head_dim: 64 }) },
  ];

  it.each(families.flatMap((family) => codes.map((kvDtype) => ({ ...family, kvDtype }))))(
    "of $name with $kvDtype are near those of floats, in chunks, too",
    async ({ config, kvDtype }) => {
      const folder = await writeCheckpoint(config, tinyTensors(config));
      const floats = await loadModel(folder, { stream, dtype: "f32" });
      const model = await loadModel(folder, { stream, dtype: "f32", kvDtype });
      const [expected] = await runModel(floats, stream, [tokens]);
      for (const chunk of [45, 7]) {
        const [logits] = await runModel(model, stream, [tokens], { chunk });
        const { relative } = compareLogits(logits!, expected!, model.shape.vocabSize);
        expect(relative).toBeGreaterThan(roundoff[kvDtype] / 50); // it does something
        expect(relative).toBeLessThan(roundoff[kvDtype] * 4);
      }
      floats.dispose();
      model.dispose();
    },
  );

  it.skipIf(isSimt).each(codes)("of two ranks are those of one, %s", async (kvDtype) => {
    const { folder, sequences } = await readGolden("llama");
    const ids = sequences[0]!.tokens;
    const whole = await loadModel(folder, { stream, dtype: "f32", kvDtype });
    const [expected] = await runModel(whole, stream, [ids]);
    const meeting = new Meeting();
    const ranks = await Promise.all(
      [0, 1].map((rank) => {
        const shard: Shard = { tp: { rank, size: 2 }, ep: { rank: 0, size: 1 } };
        const kept: KvDType = kvDtypeOf(kvDtype, "f32");
        return loadRank(folder, shard, { stream, dtype: "f32", kvDtype: kept, sums: { tp: meeting.sum } });
      }),
    );
    for (const logits of await runRanks(ranks, meeting, stream, ids, { chunk: 11 })) {
      const { relative } = compareLogits(logits, expected!, whole.shape.vocabSize);
      expect(relative).toBeLessThan(roundoff[kvDtype]); // a sum in another order may round to another code
    }
    for (const model of [whole, ...ranks]) model.dispose();
  });
});

describe("the option", () => {
  it.each(["f32", "bf16", "f16"] as const)(
    "takes %s beside another dtype of activations",
    async (kvDtype) => {
      const model = await loadModel(goldenFolder("llama"), { stream, dtype: "f32", kvDtype });
      for (const { tensors } of model.state) expect(tensors["k"]!.dtype).toBe(kvDtype);
      model.dispose();
    },
  );

  it("refuses what it does not know, and models that keep no keys and values", async () => {
    await expect(loadLLM(goldenFolder("llama"), { kvDtype: "int4" as "int8" })).rejects.toThrow(
      'kvDtype: expected "auto" or "f32" or "bf16" or "f16" or "fp8" or "int8", got "int4"',
    );
    await expect(loadModel(goldenFolder("mamba2"), { stream, kvDtype: "int8" })).rejects.toThrow(
      'kvDtype: "int8" was asked for, but this model keeps a state for each sequence and no keys and values',
    );
  });
});
