// Contract: Mamba-2 with what the golden does not have (several groups, biases, an untied head, steps that are limited, the name of
// the embedding that original checkpoints have, a config as Python writes it) gives the logits of a float64 forward pass, in one
// step, in chunks and token by token; leaving out any of it does not.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import { product, sum } from "../reference/blocks.js";
import { embedding } from "../reference/embedding.js";
import { mamba } from "../reference/mamba.js";
import { rmsNorm } from "../reference/rmsNorm.js";
import { openTestDevice } from "../support/devices.js";
import { roundTo } from "../support/dtype.js";
import { compareLogits } from "../support/goldens.js";
import { Random } from "../support/random.js";
import { runModel } from "../support/runModel.js";
import { type TinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const [V, D, H, P, G, N, W] = [37, 24, 6, 8, 3, 12, 3];
const [inner, C] = [H * P, H * P + 2 * G * N];
const limits = [0.05, 0.9] as const;
const eps = 1e-3;
const config = {
  ...{ architectures: ["Mamba2ForCausalLM"], model_type: "mamba2", vocab_size: V, hidden_size: D, expand: 2 },
  ...{ num_hidden_layers: 2, num_heads: H, head_dim: P, state_size: N, n_groups: G, conv_kernel: W },
  ...{ use_bias: true, use_conv_bias: true, time_step_limit: limits, tie_word_embeddings: false },
  ...{ layer_norm_epsilon: eps, hidden_act: "silu" },
};
const tokens = Array.from({ length: 21 }, (_, i) => (i * 17 + 3) % V);

function makeTensors(): TinyTensors {
  const random = new Random(41);
  const tensors: TinyTensors = new Map();
  const add = (name: string, shape: readonly number[], mean = 0, std = shape.at(-1)! ** -0.5): void => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = roundTo(
      "f32",
      random.normal(count, { std }).map((value) => value + mean),
    );
    tensors.set(name, { shape, dtype: "f32", values });
  };
  add("backbone.embedding.weight", [V, D], 0, 1); // as state-spaces/mamba names it
  add("backbone.norm_f.weight", [D], 1, 0.3);
  add("lm_head.weight", [V, D]);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `backbone.layers.${layer}`;
    add(`${at}.norm.weight`, [D], 1, 0.3);
    add(`${at}.mixer.in_proj.weight`, [inner + C + H, D]);
    add(`${at}.mixer.in_proj.bias`, [inner + C + H], 0, 0.3);
    add(`${at}.mixer.conv1d.weight`, [C, 1, W]);
    add(`${at}.mixer.conv1d.bias`, [C], 0, 0.3);
    add(`${at}.mixer.A_log`, [H], 0, 1);
    add(`${at}.mixer.dt_bias`, [H], -0.5, 1);
    add(`${at}.mixer.D`, [H], 1, 0.3);
    add(`${at}.mixer.norm.weight`, [inner], 1, 0.3);
    add(`${at}.mixer.out_proj.weight`, [D, inner]);
    add(`${at}.mixer.out_proj.bias`, [D], 0, 0.3);
  }
  return tensors;
}

type Change = "biases" | "limits" | "eps";

/** Logits [T, V]; `without` computes one thing as it should not be. */
function forward(tensors: TinyTensors, without?: Change): Float64Array {
  const T = tokens.length;
  const get = (name: string) => tensors.get(name)!.values;
  const matrix = (name: string, rows: number, columns: number) => {
    const bias = without === "biases" ? undefined : tensors.get(`${name}.bias`)?.values;
    return { values: get(`${name}.weight`), N: rows, K: columns, bias };
  };
  const norm = (x: Float64Array, name: string) => rmsNorm(x, get(name), { T, D }, { eps }).out;
  let x: Float64Array = embedding(Int32Array.from(tokens), get("backbone.embedding.weight"), { V, D });
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `backbone.layers.${layer}.mixer`;
    const added = mamba(
      norm(x, `backbone.layers.${layer}.norm.weight`),
      {
        input: matrix(`${at}.in_proj`, inner + C + H, D),
        conv: get(`${at}.conv1d.weight`),
        convBias: without === "biases" ? undefined : get(`${at}.conv1d.bias`),
        a: get(`${at}.A_log`).map((value) => -Math.exp(value)),
        dtBias: get(`${at}.dt_bias`),
        skip: get(`${at}.D`),
        norm: get(`${at}.norm.weight`),
        output: matrix(`${at}.out_proj`, D, inner),
      },
      {
        ...{ H, P, G, N, W, eps: without === "eps" ? 1e-5 : eps },
        limits: without === "limits" ? [0, Infinity] : limits,
      },
    );
    x = sum(x, added);
  }
  return product(norm(x, "backbone.norm_f.weight"), matrix("lm_head", V, D));
}

const relative = (actual: Float64Array | Float32Array, expected: Float64Array): number =>
  compareLogits(Float32Array.from(actual), Float32Array.from(expected), V).relative;

describe("Mamba-2 beyond its golden", () => {
  let device: Device;
  let stream: Stream;
  beforeAll(() => {
    device = openTestDevice();
    stream = device.createStream();
  });
  afterAll(() => device.dispose());

  it("groups, biases, limits: a float64 forward pass", async () => {
    const tensors = makeTensors();
    const expected = forward(tensors);
    const model = await loadModel(await writeCheckpoint(config, tensors), { stream, dtype: "f32" });
    const [whole] = await runModel(model, stream, [tokens]);
    expect(relative(whole!, expected)).toBeLessThan(1e-5);
    for (const chunk of [1, 2, 5, 16])
      expect((await runModel(model, stream, [tokens], { chunk }))[0]).toEqual(whole);
    model.dispose();
    for (const change of ["biases", "limits", "eps"] as const)
      expect(relative(forward(tensors, change), expected), change).toBeGreaterThan(1e-3);
  });

  it.each([
    ["as Python's json writes it", "Infinity"],
    ["as transformers writes it since 4.57", '{"__float__": "Infinity"}'],
    ["as JSON can say it", "1e999"],
  ])("a limit without end, %s", async (_, infinity) => {
    const tensors = makeTensors();
    const folder = await writeCheckpoint(config, tensors);
    const file = join(folder, "config.json");
    const text = (await readFile(file, "utf8")).replace("[0.05,0.9]", `[0.0, ${infinity}]`);
    await writeFile(file, text);
    const model = await loadModel(folder, { stream, dtype: "f32" });
    const [logits] = await runModel(model, stream, [tokens]);
    expect(relative(logits!, forward(tensors, "limits"))).toBeLessThan(1e-5);
    model.dispose();
  });
});
