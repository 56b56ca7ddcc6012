// Contract: which of longrope's two lists of factors a model has is decided when it is loaded, by its context length: the short one up to
// the trained length, the long one beyond it. The golden of phi3 has the logits of both.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { LLM } from "../../lib/llm/llm.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { openTestDevice } from "../support/devices.js";
import { allowedDifference, compareGolden, isWithin, readGolden } from "../support/goldens.js";
import { runModel } from "../support/runModel.js";
import { withFields } from "../support/withFields.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

const trainedLength = 64;

/** Whether a model has the logits of a list, at a sequence of the golden. */
async function hasList(
  { folder, contextLength }: { readonly folder: string; readonly contextLength: number },
  list: "short" | "long",
  sequence: 0 | 1,
): Promise<boolean> {
  const golden = await readGolden("phi3", list);
  const one = golden.sequences[sequence]!;
  const model = await loadModel(folder, { stream, dtype: "f32", contextLength });
  const logits = await runModel(model, stream, [one.tokens]);
  model.dispose();
  return isWithin(compareGolden([one], logits), allowedDifference(golden, "f32"));
}

it.each([
  { contextLength: trainedLength, list: "short", other: "long" },
  { contextLength: trainedLength + 1, list: "long", other: "short" },
] as const)("a context of $contextLength has the $list list", async ({ contextLength, list, other }) => {
  const { folder } = await readGolden("phi3");
  expect(await hasList({ folder, contextLength }, list, 0)).toBe(true);
  expect(await hasList({ folder, contextLength }, other, 0)).toBe(false);
});

it("200 tokens with either list", async () => {
  const { folder } = await readGolden("phi3");
  // The same factor on cosines and sines, 1 + ln 16 / ln 256 = 1 + ln 8 / ln 64, and a trained length that has room for the text.
  const wide = await withFields(folder, {
    ...{ original_max_position_embeddings: 256, max_position_embeddings: 4096 },
  });
  expect(await hasList({ folder: wide, contextLength: 256 }, "short", 1)).toBe(true);
  expect(await hasList({ folder: wide, contextLength: 257 }, "long", 1)).toBe(true);
  expect(await hasList({ folder, contextLength: 512 }, "long", 1)).toBe(true);
});

it("a text is continued with the short list as the golden says", async () => {
  const { folder, sequences } = await readGolden("phi3", "short");
  const [{ tokens, continuation }] = sequences as [(typeof sequences)[0]];
  await using llm = await LLM.load(folder, { dtype: "f32", contextLength: trainedLength });
  const { tokenIds } = await llm
    .generate(tokens, { temperature: 0, maxTokens: continuation!.length, ignoreEos: true })
    .result();
  expect(tokenIds).toEqual(continuation);
});
