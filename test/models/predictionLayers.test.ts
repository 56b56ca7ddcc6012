// Contract: the layers behind the last one, which predict further tokens, are passed over by their names, as many as the config has and
// without a warning; what else nobody knows is an error.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { openTestDevice } from "../support/devices.js";
import { runModel } from "../support/runModel.js";
import { tinyConfig, tinyTensors, type TinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import { collectWarnings } from "../support/warnings.js";

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

const config = tinyConfig("Glm4MoeForCausalLM", {
  ...{ n_routed_experts: 4, num_experts_per_tok: 2, moe_intermediate_size: 12, n_shared_experts: 1 },
  first_k_dense_replace: 1,
});
const tensors = tinyTensors(config);
const unused = { shape: [2, 3], dtype: "f32", values: new Float64Array(6) } as const;

/** As GLM-4.5 has them behind its layers 0 and 1. */
const published = ["eh_proj.weight", "embed_tokens.weight", "shared_head.norm.weight", "mlp.gate.weight"];
const ofLayer = (layer: number): TinyTensors =>
  new Map(published.map((name) => [`model.layers.${layer}.${name}`, unused]));

const load = async (count: number, more: TinyTensors) => {
  const fields = { ...config, num_nextn_predict_layers: count };
  return loadModel(await writeCheckpoint(fields, new Map([...tensors, ...more])), { stream, dtype: "f32" });
};

it.each([1, 2])("%i of them change nothing and warn of nothing", async (count) => {
  const plain = await load(count, new Map());
  const [expected] = await runModel(plain, stream, [[1, 2, 3]]);
  const more = new Map(Array.from({ length: count }, (_, i) => [...ofLayer(2 + i)]).flat());
  let logits: Float32Array | undefined;
  const warnings = await collectWarnings(async () => {
    const model = await load(count, more);
    [logits] = await runModel(model, stream, [[1, 2, 3]]);
    model.dispose();
  });
  expect(warnings).toEqual([]);
  expect(logits).toEqual(expected);
  plain.dispose();
});

it.each([
  { name: "a layer of a config that has none", count: 0, layer: 2 },
  { name: "one more than the config has", count: 1, layer: 3 },
  { name: "a number that only begins so", count: 1, layer: 20 },
])("$name is an error", async ({ count, layer }) => {
  const more = new Map([...ofLayer(2), ...ofLayer(layer)]);
  await expect(load(count, more)).rejects.toMatchObject({
    code: "ERR_CHECKPOINT_TENSOR",
    message: expect.stringContaining(`4 unexpected: model.layers.${layer}.eh_proj.weight`) as unknown,
  });
});
