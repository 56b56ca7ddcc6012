// Contract: the trained checkpoints of models/ say what their golden.json says: the same greedy text where it is decided
// by a margin, and the same log-probabilities at every generated position.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Model } from "../../lib/models/model.js";
import type { Stream } from "../../lib/device/stream.js";
import { expectBits } from "../support/bits.js";
import { openTestDevice } from "../support/devices.js";
import { runModel } from "../support/runModel.js";

interface Entry {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly top5_logprobs: readonly (readonly (readonly [id: number, logprob: number])[])[];
  readonly min_top1_margin: number;
}

/** Below this gap (in nats) between the best two tokens another order of additions may choose the other one. */
const decidedMargin = 0.2;
/**
 * On log-probabilities. With bf16 activations a token near a tie of its router may go to another expert, which shows in
 * the tokens that all but never come: those are not compared.
 */
const tolerances = { f32: { above: -Infinity, nats: 1e-4 }, bf16: { above: -4, nats: 0.15 } };

let device: Device;
let stream: Stream;

beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

const cases = ["tiny-moe", "tiny-draft"].flatMap((name) =>
  (["f32", "bf16"] as const).map((dtype) => ({ name, dtype })),
);

describe.each(cases)("$name in $dtype", ({ name, dtype }) => {
  let model: Model;
  let entries: readonly Entry[];
  let logits: Float32Array[]; // of prompt and greedy text, teacher-forced

  beforeAll(async () => {
    const folder = fileURLToPath(new URL(`../../models/${name}`, import.meta.url));
    entries = JSON.parse(await readFile(`${folder}/golden.json`, "utf8")) as Entry[];
    model = await loadModel(folder, { stream, dtype });
    const texts = entries.map(({ prompt_ids, greedy_ids }) => [...prompt_ids, ...greedy_ids]);
    logits = await runModel(model, stream, texts);
  });
  afterAll(() => model.dispose());

  /** Log-probabilities from which generated token `i` of an entry was chosen. */
  function row(index: number, i: number): Float64Array {
    const { vocabSize } = model.shape;
    const start = (entries[index]!.prompt_ids.length - 1 + i) * vocabSize;
    return logSoftmax(logits[index]!.subarray(start, start + vocabSize));
  }

  it("gives the bits on record", () => expectBits(device, `models/${name} in ${dtype}`, logits));

  it("chooses the tokens of every text that has a margin", () => {
    entries.forEach(({ greedy_ids, min_top1_margin }, index) => {
      if (min_top1_margin <= decidedMargin) return;
      const chosen = greedy_ids.map((_, i) => argmax(row(index, i)));
      expect(chosen).toEqual(greedy_ids);
    });
  });

  it("gives the log-probabilities of the five best tokens", () => {
    const { above, nats } = tolerances[dtype];
    let worst = 0;
    entries.forEach(({ top5_logprobs }, index) =>
      top5_logprobs.forEach((top, i) => {
        const actual = row(index, i);
        for (const [id, expected] of top)
          if (expected > above) worst = Math.max(worst, Math.abs(actual[id]! - expected));
      }),
    );
    expect(worst).toBeLessThan(nats);
  });
});

it("tells the experts of every token and layer", async () => {
  const folder = fileURLToPath(new URL("../../models/tiny-moe", import.meta.url));
  const model = await loadModel(folder, { stream });
  const seen: { layer: number; experts: Promise<unknown> }[] = [];
  await runModel(model, stream, [[5, 6, 7]], {
    tap: { name: "experts", onTap: (layer, experts) => void seen.push({ layer, experts }) },
  });
  expect(seen.map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
  for (const { experts } of seen) {
    const ids = (await experts) as Int32Array;
    expect(ids).toHaveLength(3 * model.shape.expertsPerToken);
    expect([...ids].every((id) => id >= 0 && id < model.shape.numExperts)).toBe(true);
  }
  model.dispose();
});

function logSoftmax(row: Float32Array): Float64Array {
  const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
  const sum = row.reduce((total, value) => total + Math.exp(value - max), 0);
  return Float64Array.from(row, (value) => value - max - Math.log(sum));
}

function argmax(row: Float64Array): number {
  return row.reduce((best, value, i) => (value > row[best]! ? i : best), 0);
}
