// Contract: every family computes the logits of its golden checkpoint at every position that has some, in f32 and bf16, whether a text
// comes in one prefill, in chunks, token by token or beside another text. On the CPU these give the same bits; a GPU chooses
// its kernels by the size of the step, so there each has to be right by itself.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Model } from "../../lib/models/model.js";
import type { Stream } from "../../lib/device/stream.js";
import { expectBits } from "../support/bits.js";
import { openTestDevice } from "../support/devices.js";
import {
  allowedDifference,
  compareGolden,
  goldenFamilies,
  readGolden,
  type Golden,
} from "../support/goldens.js";
import { runModel } from "../support/runModel.js";
import { someOf } from "../support/seed.js";

let device: Device;
let stream: Stream;

beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

/** The emulated GPU takes a few families, each in one dtype: others with another seed. Token by token takes it a minute. */
const isEmulated = !Device.available().includes("cpu");
const ways: readonly { readonly way: string; chunkOf(length: number): number | readonly number[] }[] = [
  { way: "in chunks of 7", chunkOf: () => 7 },
  { way: "when the last four tokens come one by one", chunkOf: (length) => [length - 4, 1] },
  ...(isEmulated ? [] : [{ way: "in chunks of 1", chunkOf: () => 1 }]),
];

const all = goldenFamilies.flatMap((family) =>
  (["f32", "bf16"] as const).map((dtype) => ({ family, dtype })),
);
const cases = isEmulated ? someOf(all, 4) : all;

describe.each(cases)("$family in $dtype", ({ family, dtype }) => {
  let golden: Golden;
  let model: Model;
  let prefill: Float32Array[]; // logits of each sequence run alone, all tokens at once

  beforeAll(async () => {
    golden = await readGolden(family);
    model = await loadModel(golden.folder, { stream, dtype });
    prefill = [];
    for (const { tokens } of golden.sequences) prefill.push(...(await runModel(model, stream, [tokens])));
  });
  afterAll(() => model.dispose());

  it("matches the trusted logits", () => {
    golden.sequences.forEach((_, i) => expectTrusted(prefill[i]!, i));
    expectBits(device, `goldens/${family} in ${dtype}`, prefill);
  });

  it.each(ways)("gives the same $way", async ({ chunkOf }) => {
    for (const [i, { tokens }] of golden.sequences.entries()) {
      const [logits] = await runModel(model, stream, [tokens], { chunk: chunkOf(tokens.length) });
      expectSame(logits!, i);
    }
  });

  it.each([{ chunk: Infinity }, { chunk: 33 }])(
    "gives the same for two sequences at once, in chunks of $chunk",
    async ({ chunk }) => {
      const tokens = golden.sequences.map((sequence) => sequence.tokens);
      const logits = await runModel(model, stream, tokens, { chunk });
      logits.forEach(expectSame);
    },
  );

  function expectTrusted(logits: Float32Array, i: number): void {
    const allowed = allowedDifference(golden, dtype);
    const { max, rms, relative, regret } = compareGolden([golden.sequences[i]!], [logits]);
    expect(max).toBeLessThan(allowed.max);
    expect(rms).toBeLessThan(allowed.rms);
    expect(relative).toBeLessThan(allowed.relative);
    expect(regret).toBeLessThan(allowed.regret);
  }

  function expectSame(logits: Float32Array, i: number): void {
    if (device.chunksKeepBits) expectSameBits(logits, prefill[i]!);
    else expectTrusted(logits, i);
  }
});

function expectSameBits(actual: Float32Array, expected: Float32Array): void {
  expect(Buffer.compare(bytesOf(actual), bytesOf(expected))).toBe(0);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
