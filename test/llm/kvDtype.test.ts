// Contract: `kvDtype` chooses what keys and values, or latents, are kept in. Pages take the bytes that it says; the same request gives the same tokens
// and log probabilities bit for bit alone, batched, behind a prefix that was found, preempted, without graphs; the logits stay near those
// of floats; a model that keeps none of these refuses it by name.
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
import { limitedV2, tinyV3 } from "../support/deepseekVariants.js";
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
  const some = (length: number) => randomPrompt(random, length).map((id) => id % 280); // what all vocabularies have
  const common = some(40);
  return Array.from({ length: count }, (_, i) => ({
    prompt: [...(i % 2 === 0 ? common : []), ...some(3 + 9 * (i % 3))],
    options: { maxTokens: 24, ignoreEos: true, logprobs: 2, temperature: i % 3 === 0 ? 1 : 0, seed: i },
  }));
}

/** V3.2 attends to 16 tokens that it chooses. */
const families = ["qwen3", "deepseek_v2", "deepseek_v3", "deepseek_v32"];
const everyKind = families.flatMap((family) => codes.map((kvDtype) => ({ family, kvDtype })));

describe.skipIf(isSimt).each(everyKind)("$family, $kvDtype", ({ family, kvDtype }) => {
  const folder = goldenFolder(family);

  it.each(["f32", "bf16"] as const)("gives the same however requests run, dtype %s", async (dtype) => {
    const all = asks(8);
    const kept = { dtype, kvDtype, pageSize: 16 };
    const single = { ...kept, maxSequences: 1, prefixCache: false, graphs: false };
    const alone = await withLLM(folder, single, async (llm) => (await ask(llm, all)).map(essence));
    for (const options of [{}, { pageSize: 3 }, { maxStepTokens: 17, maxSequences: 5 }, { threads: 2 }]) {
      await withLLM(folder, { ...kept, ...options }, async (llm) => {
        expect((await ask(llm, all)).map(essence)).toEqual(alone);
        expect((await ask(llm, all)).map(essence)).toEqual(alone);
        expect(llm.stats().prefix.hits).toBeGreaterThan(0);
      });
    }
    const { blockBytes } = await layoutOf(folder, kvDtype);
    const small = { maxSequences: 8, maxStepTokens: 64, kvCacheBytes: 14 * blockBytes };
    await withLLM(folder, { ...kept, ...small }, async (llm) => {
      expect((await ask(llm, all)).map(essence)).toEqual(alone);
      expect(llm.stats().preemptions).toBeGreaterThan(0);
    });
  });

  it("keeps a byte of each element, four of each head or 128 numbers of a latent, rotated keys as they are", async () => {
    const model = await loadModel(folder, { stream, kvDtype, dtype: "bf16" });
    const { numLayers, numKvHeads, headDim } = model.shape;
    model.dispose();
    const bytesOfToken: Record<string, number[]> = {
      qwen3: [numKvHeads * headDim, numKvHeads * headDim, 4 * numKvHeads, 4 * numKvHeads],
      deepseek_v2: [64, 4, 2 * 32],
      deepseek_v3: [64, 4, 2 * 32],
      deepseek_v32: [48, 4, 2 * 32, 2 * 64], // and keys of the indexer
    };
    const aligned = (bytes: number) => Math.ceil(bytes / 256) * 256;
    const perLayer = bytesOfToken[family]!.reduce((sum, bytes) => sum + aligned(16 * bytes), 0);
    const { blockBytes } = await layoutOf(folder, kvDtype);
    expect(blockBytes).toBe(numLayers * perLayer);
    const kvCacheBytes = 40 * blockBytes + 1;
    await withLLM(folder, { kvDtype, dtype: "bf16", pageSize: 16, kvCacheBytes }, (llm) => {
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
    { name: "DeepSeek V2", config: tinyConfig("DeepseekV2ForCausalLM", limitedV2) },
    {
      name: "DeepSeek V3, latents of several groups",
      config: tinyConfig("DeepseekV3ForCausalLM", { ...tinyV3, kv_lora_rank: 272 }),
    },
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

  const split = ["llama", "deepseek_v3"].flatMap((family) => codes.map((kvDtype) => ({ family, kvDtype })));
  it.skipIf(isSimt).each(split)(
    "of two ranks are those of one, $family, $kvDtype",
    async ({ family, kvDtype }) => {
      const { folder, sequences } = await readGolden(family);
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
    },
  );
});

describe("the option", () => {
  it.each(["f32", "bf16", "f16"] as const)(
    "takes %s beside another dtype of activations",
    async (kvDtype) => {
      for (const family of ["llama", "deepseek_v32"]) {
        const model = await loadModel(goldenFolder(family), { stream, dtype: "f32", kvDtype });
        for (const { tensors } of model.state)
          expect((tensors["k"] ?? tensors["latent"])!.dtype).toBe(kvDtype);
        model.dispose();
      }
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
