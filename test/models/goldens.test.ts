// Contract: every family computes the logits of its golden checkpoint at every position, in f32 and bf16, and gives the
// same bits whether a text comes in one prefill, in chunks, token by token or beside another text.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../lib/device.js";
import { loadModel } from "../../lib/models/load.js";
import type { Model } from "../../lib/models/model.js";
import type { Stream } from "../../lib/stream.js";
import {
  allowedDifference,
  compareLogits,
  goldenFamilies,
  readGolden,
  type Golden,
} from "../support/goldens.js";
import { runModel } from "../support/runModel.js";

let device: Device;
let stream: Stream;

beforeAll(() => {
  device = Device.open("cpu");
  stream = device.createStream();
});
afterAll(() => device.dispose());

const cases = goldenFamilies.flatMap((family) =>
  (["f32", "bf16"] as const).map((dtype) => ({ family, dtype })),
);

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
    const allowed = allowedDifference(golden, dtype);
    golden.sequences.forEach(({ logits }, i) => {
      const { max, rms, relative, regret } = compareLogits(prefill[i]!, logits, model.shape.vocabSize);
      expect(max).toBeLessThan(allowed.max);
      expect(rms).toBeLessThan(allowed.rms);
      expect(relative).toBeLessThan(allowed.relative);
      expect(regret).toBeLessThan(allowed.regret);
    });
  });

  it.each([{ chunk: 7 }, { chunk: 1 }])("gives the same bits in chunks of $chunk", async ({ chunk }) => {
    for (const [i, { tokens }] of golden.sequences.entries()) {
      const [logits] = await runModel(model, stream, [tokens], { chunk });
      expectSameBits(logits!, prefill[i]!);
    }
  });

  it.each([{ chunk: Infinity }, { chunk: 33 }])(
    "gives the same bits for two sequences at once, in chunks of $chunk",
    async ({ chunk }) => {
      const tokens = golden.sequences.map((sequence) => sequence.tokens);
      const logits = await runModel(model, stream, tokens, { chunk });
      logits.forEach((rows, i) => expectSameBits(rows, prefill[i]!));
    },
  );
});

function expectSameBits(actual: Float32Array, expected: Float32Array): void {
  expect(Buffer.compare(bytesOf(actual), bytesOf(expected))).toBe(0);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
