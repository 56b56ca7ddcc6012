// Contract: what layers keep of a sequence as a whole (slots) goes with it through the engine: in chunks, batched, padded to a
// captured graph, preempted, begun from a copy that the prefix cache has. The same tokens and log probabilities, bit for bit, as
// alone and without any of it; a slot begins from nothing, whatever its memory held before.
import { describe, expect, it } from "vitest";
import { type BareAsk, BareEngine, type BareOptions } from "../llm/bareEngine.js";
import { OpContext, openTestDevice, type TestDevice } from "../support/devices.js";
import { poisonFree } from "../support/poisonFree.js";
import { Random } from "../support/random.js";
import { mixerWindow, toyModel } from "../support/toyMixer.js";

const maxSequences = 5; // decode steps are padded to 1, 2, 4 or 5
const size = { pageSize: 4, maxSequences, maxStepTokens: 24, chunkTokens: mixerWindow, contextLength: 128 };

async function isSimt(): Promise<boolean> {
  await using device = openTestDevice();
  return device.name === "simt";
}
const simt = await isSimt();
const most = simt ? 6 : 40;

function asks(count: number): readonly BareAsk[] {
  const random = new Random(5);
  const ids = (length: number) => Array.from({ length }, () => random.integer(0, 37));
  return Array.from({ length: count }, (_, i) => ({
    prompt: ids([30, 3, 17, 45, 1][i % 5]!),
    options: { maxTokens: most - (i % 3), logprobs: 2, ignoreEos: true },
  }));
}

type Options = Partial<BareOptions>;

/** Everything that the requests give, all at once or one after the other. */
async function run(layers: string, all: readonly BareAsk[], options: Options = {}, isTogether = true) {
  const device = openTestDevice();
  const stream = device.createStream();
  const context = new OpContext(device.name as TestDevice, device, stream);
  const { dtype = "f32" } = options;
  const model = toyModel(context, {
    ...{ layers, maxPositions: size.contextLength, maxSequences },
    dtype: dtype === "auto" ? "f32" : dtype,
  });
  const engine = BareEngine.over(model, stream, { ...size, pages: 300, prefixCache: false, ...options });
  return engine.runAll(all, { isTogether });
}

describe.each([
  // Tokens that are found: 44, 0, 0 and 44; beside pages, whose blocks have 16 tokens, 32, 0, 16 where the third has left, and 32.
  { layers: "mm", what: "slots alone", hits: 88 },
  { layers: "mfs", what: "slots beside everything and a window", hits: 80 },
  // Here blocks have 12: 36, 0, 24 and 36.
  { layers: "Mfs", what: "Mamba-2 beside everything and a window", hits: 96 },
])("$what", ({ layers, hits }) => {
  it("a slot begins from nothing, and free memory may hold anything", { timeout: 300_000 }, async () => {
    const all = asks(simt ? 2 : 5);
    const expected = await run(layers, all);
    const poison = poisonFree();
    const poisoned = await run(layers, all, { afterStep: poison });
    expect(poisoned.results).toEqual(expected.results);
    expect(poison.count).toBeGreaterThan(simt ? 0 : 2);
  });

  for (const dtype of ["f32", "bf16"] as const) {
    it.skipIf(simt)(`${dtype}: alone, batched, in other chunks, with and without graphs`, async () => {
      const all = asks(8);
      const alone = await run(layers, all, { dtype }, false);
      for (const options of [{}, { chunkTokens: 3 }, { chunkTokens: 1 }, { graphs: false }]) {
        const together = await run(layers, all, { dtype, ...options });
        expect(together.results, JSON.stringify(options)).toEqual(alone.results);
      }
    });
  }

  it.skipIf(simt)("preempted", async () => {
    const all = asks(8);
    const expected = await run(layers, all);
    // What the longest request needs alone, and little more: slots alone are never too many to go on.
    const pages = layers === "mm" ? 6 : 30;
    const small = await run(layers, all, { pages, afterStep: poisonFree() });
    expect(small.results).toEqual(expected.results);
    if (layers !== "mm") expect(small.stats.preemptions).toBeGreaterThan(0);
    expect(small.stats.usedPages).toBe(0);
  });

  it.skipIf(simt)("begun from copies of slots in the prefix cache", async () => {
    const [first] = asks(4).slice(3); // 45 tokens
    const { prompt, options } = first!;
    const all = [
      first!,
      { prompt: [...prompt, 5, 6, 7], options }, // goes on behind the copy at the end of the first
      { prompt: [...prompt.slice(0, 30), 1, 2, 3, 4, 5], options }, // leaves it where there is no copy yet
      { prompt: [...prompt.slice(0, 30), 9, 8, 7, 6, 5], options }, // and finds one there, if pages tell where that is
      first!,
    ];
    const expected = await run(layers, all);
    const found = await run(layers, all, { prefixCache: true }, false);
    expect(found.results).toEqual(expected.results);
    expect(found.stats.prefix.hits).toBe(hits);
    const together = await run(layers, all, { prefixCache: true, pages: layers === "mm" ? 9 : 40 });
    expect(together.results).toEqual(expected.results);
  });
});
