// Contract: of a Gemma 3 checkpoint with images the part that reads text runs: its config may leave out what its class says, fields
// beside it and tensors of pictures are passed over, and its weights have a prefix that changes no bit.
import { expect, it } from "vitest";
import { ConfigReader } from "../../lib/checkpoint/configReader.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { ModelDefinition } from "../../lib/models/model.js";
import { findFamily } from "../../lib/models/registry.js";
import { openTestDevice } from "../support/devices.js";
import { runModel } from "../support/runModel.js";
import { tinyConfig, tinyTensors, type TinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import { collectWarnings } from "../support/warnings.js";

const architecture = "Gemma3ForConditionalGeneration";
const published = {
  ...{ model_type: "gemma3_text", hidden_size: 2560, intermediate_size: 10_240, num_hidden_layers: 34 },
  ...{ rope_scaling: { rope_type: "linear", factor: 8 }, sliding_window: 1024 },
};
const around = { model_type: "gemma3", vision_config: { hidden_size: 1152 }, mm_tokens_per_image: 256 };

function define(json: Readonly<Record<string, unknown>>): ModelDefinition {
  return findFamily(architecture, "config.json")(new ConfigReader("config.json", json));
}

it("takes from its class what a published config leaves out", async () => {
  const warnings = await collectWarnings(() => define({ ...around, text_config: published }));
  expect(warnings).toEqual([]);
  const { shape, trainedContext, longestContext } = define({ ...around, text_config: published });
  expect(shape).toMatchObject({
    vocabSize: 262_208,
    numHeads: 8,
    numKvHeads: 4,
    headDim: 256,
    numLayers: 34,
  });
  expect([trainedContext, longestContext]).toEqual([131_072, 8 * 131_072]);
});

it("holds both configs against their tables", async () => {
  const [warning] = await collectWarnings(() => define({ ...around, text_config: published, brand_new: 1 }));
  expect(warning!.message).toContain('"brand_new"');
  const failing = (text: Readonly<Record<string, unknown>>) => () =>
    define({ ...around, text_config: { ...published, ...text } });
  expect(failing({ alibi: true })).toThrow(/alibi: expected/);
  expect(failing({ head_dim: 24 })).toThrow("config.json: text_config.head_dim: expected heads whose width");
  expect(() => define(around)).toThrow("text_config: expected an object");
});

it.each([
  { language: "language_model.model.", vision: "vision_tower." },
  { language: "model.language_model.", vision: "model.vision_tower." },
])("$language has the weights: the logits are those of the text alone", async ({ language, vision }) => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const fields = { sliding_window: 4, num_hidden_layers: 6, tie_word_embeddings: true };
  const text = tinyConfig("Gemma3ForCausalLM", fields);
  const tensors = tinyTensors(text);
  const within: TinyTensors = new Map(
    [...tensors].map(([name, tensor]) => [name.replace(/^model\./, language), tensor]),
  );
  within.set(`${vision}embeddings.weight`, { shape: [2], dtype: "f32", values: Float64Array.of(1, 2) });
  const whole = { architectures: [architecture], ...around, text_config: text };
  const tokens = [3, 10, 17, 24, 31, 1, 8, 15];
  const folders = [await writeCheckpoint(text, tensors), await writeCheckpoint(whole, within)];
  const logits = [];
  for (const folder of folders) {
    const model = await loadModel(folder, { stream, dtype: "f32" });
    logits.push(...(await runModel(model, stream, [tokens])));
    model.dispose();
  }
  expect(logits[1]).toEqual(logits[0]);
});
