// Contract: a head that the config ties is the embedding, unless the checkpoint stores other values for it: then those are the
// model, with a warning. Tensors are found under the prefixes that exporters use.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Stream } from "../../lib/device/stream.js";
import { openTestDevice } from "../support/devices.js";
import { roundTo } from "../support/dtype.js";
import { compareLogits } from "../support/goldens.js";
import { referenceTransformer } from "../support/referenceTransformer.js";
import { runModel } from "../support/runModel.js";
import {
  tinyConfig,
  tinyTensors,
  writeCheckpoint,
  type TinyConfig,
  type TinyTensor,
  type TinyTensors,
} from "../support/tinyCheckpoint.js";
import { collectWarnings, type WarploopWarning } from "../support/warnings.js";

const head = "lm_head.weight";
const table = "model.embed_tokens.weight";
const tokens = [3, 1, 4, 1, 5, 9, 2, 6];
const V = 37;

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice({ threads: 1 });
  stream = device.createStream();
});
afterAll(() => device.dispose());

async function run(config: TinyConfig, tensors: TinyTensors) {
  const folder = await writeCheckpoint(config, tensors);
  let logits: Float32Array | undefined;
  let loadedBytes = 0;
  const onProgress = ({ loaded }: { readonly loaded: number }) => void (loadedBytes = loaded);
  const warnings: WarploopWarning[] = await collectWarnings(async () => {
    const model = await loadModel(folder, { stream, onProgress });
    [logits] = await runModel(model, stream, [tokens]);
    model.dispose();
  });
  return { logits: logits!, warnings, loadedBytes };
}

function expectReference(logits: Float32Array, config: TinyConfig, tensors: TinyTensors): void {
  const expected = Float32Array.from(referenceTransformer(config, tensors, tokens));
  expect(compareLogits(logits, expected, V).relative).toBeLessThan(1e-5);
}

/** The last value is another one: the whole of the two tensors has to be compared. */
function withOtherLast(tensor: TinyTensor): TinyTensor {
  const values = tensor.values.slice();
  values[values.length - 1] = 0.5;
  return { ...tensor, values };
}

describe.each(["LlamaForCausalLM", "Qwen3ForCausalLM"])("%s, tied", (architecture) => {
  const config = tinyConfig(architecture, { tie_word_embeddings: true });
  const stored = tinyTensors(config);

  it("without a stored head: the embedding, no warning", async () => {
    const { logits, warnings } = await run(config, stored);
    expectReference(logits, config, stored);
    expect(warnings).toEqual([]);
  });

  it("a stored copy of the same values is not loaded a second time, no warning", async () => {
    const plain = await run(config, stored);
    const copied = await run(config, new Map([...stored, [head, stored.get(table)!]]));
    expect(copied).toEqual(plain);
  });

  it.each([
    { name: "other values", change: withOtherLast },
    {
      name: "no value alike",
      change: (t: TinyTensor) => ({ ...t, values: t.values.map((value) => -value) }),
    },
    { name: "another dtype", change: (t: TinyTensor) => ({ ...withOtherLast(t), dtype: "f16" as const }) },
  ])("a stored head of $name is used, with a warning", async ({ change }) => {
    const changed = change(stored.get(table)!);
    const values = roundTo(changed.dtype, changed.values);
    const tensors = new Map([...stored, [head, { ...changed, values }]]);
    const { logits, warnings } = await run(config, tensors);
    expectReference(logits, config, tensors);
    expect(warnings).toMatchObject([{ name: "WarploopWarning", code: "WARN_UNTIED_HEAD" }]);
    expect(warnings[0]!.message).toMatch(
      /model\.safetensors: lm_head\.weight has other values than model\.embed_tokens\.weight, .*stored values are used/,
    );
  });

  it("a stored head of another shape is an error that names it", async () => {
    const { values, dtype } = stored.get(table)!;
    const tensors = new Map([...stored, [head, { shape: [24, V], dtype, values }]]);
    await expect(run(config, tensors)).rejects.toMatchObject({ code: "ERR_CHECKPOINT_TENSOR", tensor: head });
  });
});

describe("prefixes", () => {
  const config = tinyConfig("Qwen3ForCausalLM");
  const stored = tinyTensors(config);
  const renamed = (rename: (name: string) => string): TinyTensors =>
    new Map([...stored].map(([name, tensor]) => [rename(name), tensor]));

  it.each([
    { name: "none", rename: (name: string) => name.replace(/^model\./, "") },
    { name: "language_model.", rename: (name: string) => `language_model.${name}` },
    {
      name: "model.language_model.",
      rename: (name: string) => name.replace(/^model\./, "model.language_model."),
    },
  ])("$name: the same bits as with the usual one", async ({ rename }) => {
    const { logits } = await run(config, renamed(rename));
    expect(logits).toEqual((await run(config, stored)).logits);
  });

  it("tied and without prefix, as exports without a head are", async () => {
    const tied = { ...config, tie_word_embeddings: true };
    const tensors = renamed((name) => name.replace(/^model\./, ""));
    tensors.delete(head);
    expectReference(
      (await run(tied, tensors)).logits,
      tied,
      new Map([...stored].filter(([n]) => n !== head)),
    );
  });

  it("two tensors for one weight are an error that names the second", async () => {
    const tensors = new Map([...stored, ["norm.weight", stored.get("model.norm.weight")!]]);
    await expect(run(config, tensors)).rejects.toThrow(/1 unexpected: norm\.weight/);
  });
});
