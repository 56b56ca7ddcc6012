// Contract: a tap copies what the model computes inside to where its caller says, or counts it, also each time a captured graph is replayed; it
// changes nothing else; one that there is not, or whose destination does not fit, is refused by name.
import { expect, it } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { CopyTap, Model } from "../../lib/models/model.js";
import type { StepInputs } from "../../lib/nn/step.js";
import { openTestDevice } from "../support/devices.js";
import { allocatePages, PageTable, stepInputs } from "../support/pagedSteps.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";

const experts = { num_experts: 6, num_experts_per_tok: 2, moe_intermediate_size: 12, norm_topk_prob: true };
const sparse = tinyConfig("Qwen3MoeForCausalLM", { ...experts, mlp_only_layers: [1], num_hidden_layers: 3 });
const texts = [
  [5, 6, 7, 8],
  [30, 1, 30, 2],
  [9, 9, 9, 9],
];
const T = texts[0]!.length;

async function setUp() {
  const device = openTestDevice();
  const stream = device.createStream();
  const folder = await writeCheckpoint(sparse, tinyTensors(sparse));
  const model = await loadModel(folder, { stream, dtype: "f32" });
  const state = allocatePages(device, model.state, 2);
  /** Tensors that outlive a step: its inputs, and a destination for each tap. */
  const own = (tensor: Tensor): Tensor => {
    const kept = device.empty(tensor.dtype, tensor.shape);
    kept.write(stream, new Int32Array(kept.numel));
    return kept;
  };
  const inputs: StepInputs = stepInputs(
    stream,
    [{ row: 0, tokens: texts[0]!, start: 0 }],
    new PageTable([T]),
  );
  const kept = { ...inputs, tokens: own(inputs.tokens) };
  const destinations = (): CopyTap[] =>
    model.taps.map((point) => ({ ...point, out: device.empty(point.dtype, [T, ...point.shape]) }));
  return { device, stream, model, state, inputs: kept, destinations };
}

const read = async (stream: Parameters<Model["forward"]>[0], taps: readonly CopyTap[]) =>
  Promise.all(taps.map(({ out }) => out.read(stream)));

it("lists what there is: experts of the layers that have some, and the residual stream behind each", async () => {
  const { device, model } = await setUp();
  expect(model.taps).toEqual([
    { name: "experts", layer: 0, dtype: "i32", shape: [2], ids: 6 },
    { name: "hidden", layer: 0, dtype: "f32", shape: [24] },
    { name: "hidden", layer: 1, dtype: "f32", shape: [24] },
    { name: "experts", layer: 2, dtype: "i32", shape: [2], ids: 6 },
    { name: "hidden", layer: 2, dtype: "f32", shape: [24] },
  ]);
  await device.dispose();
});

it("a graph that was captured with taps fills them each time it is replayed", async () => {
  const { device, stream, model, state, inputs, destinations } = await setUp();
  const taps = destinations();
  const hidden = device.empty("f32", [T, 37]);
  inputs.tokens.write(stream, Int32Array.from(texts[0]!));
  model.logits(stream, model.forward(stream, inputs, state, taps), hidden); // what runs once before it is captured
  const graph = stream.capture(() => {
    model.logits(stream, model.forward(stream, inputs, state, taps), hidden);
  });
  for (const text of [...texts, texts[0]!]) {
    inputs.tokens.write(stream, Int32Array.from(text));
    const single = destinations(); // nothing of an earlier text is in them
    graph.replay(stream);
    const captured = await read(stream, taps);
    const logits = await hidden.read(stream);

    const scope = stream.scope();
    const alone = model.logits(stream, model.forward(stream, inputs, state, single)).read(stream);
    scope.close();
    expect(captured).toEqual(await read(stream, single));
    expect(logits).toEqual(await alone);

    const without = stream.scope();
    const untapped = model.logits(stream, model.forward(stream, inputs, state)).read(stream);
    without.close();
    expect(await untapped).toEqual(logits);
  }
  graph.dispose();
  await device.dispose();
});

it("a tap that counts adds up the ids of each replay, but for padding", async () => {
  const { device, stream, model, state, inputs } = await setUp();
  const counts = stream.fromArray("i32", [6, 2], new Int32Array(12));
  const out = device.empty("i32", [T, 2]);
  const expected = new Array<number>(6).fill(0);
  const taps = [
    { name: "experts", layer: 2, counts },
    { name: "experts", layer: 2, out },
  ];
  const [group] = inputs.groups;
  const slots = (await group!.slots.read(stream)) as Int32Array;
  const padded = stream.fromArray(
    "i32",
    [T],
    slots.map((slot, t) => (t === 1 ? -1 : slot)),
  );
  const step = { ...inputs, groups: [{ ...group!, slots: padded }] };
  const run = () => void model.forward(stream, step, state, taps);
  inputs.tokens.write(stream, Int32Array.from(texts[0]!));
  run();
  const graph = stream.capture(run);
  for (const [i, text] of [texts[0]!, ...texts].entries()) {
    inputs.tokens.write(stream, Int32Array.from(text));
    if (i > 0) graph.replay(stream); // the first has run
    const ids = (await out.read(stream)) as Int32Array;
    ids.forEach((id, pair) => (expected[id]! += Math.floor(pair / 2) === 1 ? 0 : 1));
    const halves = (await counts.read(stream)) as Int32Array;
    expect([...halves]).toEqual(expected.flatMap((count) => [count, 0]));
  }
  graph.dispose();
  await device.dispose();
});

it("a tap that there is not, and a destination that does not fit, are refused by name", async () => {
  const { device, stream, model, state, inputs } = await setUp();
  const forward = (...tap: [string, number, Tensor]) => {
    const [name, layer, out] = tap;
    return () => model.forward(stream, inputs, state, [{ name, layer, out }]);
  };
  const message = (text: string) => expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: text });
  const good = device.empty("i32", [T, 2]);
  expect(forward("experts", 1, good)).toThrow(
    message(
      'taps: "experts" of layer 1: this model offers "experts" of layers 0, 2; "hidden" of layers 0, 1, 2',
    ),
  );
  expect(forward("attention", 0, good)).toThrow(/"attention" of layer 0: this model offers "experts"/);
  expect(forward("experts", 0, device.empty("i32", [T + 1, 2]))).toThrow(
    message('taps: "experts" of layer 0: out: expected [4, 2] i32, got [5, 2] i32'),
  );
  expect(forward("hidden", 0, device.empty("bf16", [T, 24]))).toThrow(
    message('taps: "hidden" of layer 0: out: expected [4, 24] f32, got [4, 24] bf16'),
  );
  const count = (name: string, ...shape: number[]) => {
    const taps = [{ name, layer: 0, counts: device.empty("i32", shape) }];
    return () => model.forward(stream, inputs, state, taps);
  };
  expect(count("experts", 5, 2)).toThrow(
    message('taps: "experts" of layer 0: counts: expected [6, 2] i32, got [5, 2] i32'),
  );
  expect(count("hidden", 24, 2)).toThrow(
    message('taps: "hidden" of layer 0: counts: expected something that is made of ids'),
  );
  await stream.synchronize();
  await device.dispose();
});

it("two taps that write to the same memory are refused, and both are named", async () => {
  const { device, stream, model, state, inputs } = await setUp();
  const forward = (first: Tensor, second: Tensor) => {
    const taps = [
      { name: "hidden", layer: 0, out: first },
      { name: "hidden", layer: 2, out: second },
    ];
    return () => void model.forward(stream, inputs, state, taps);
  };
  const refusal = expect.objectContaining({
    code: "ERR_ARGUMENT_RANGE",
    message:
      'taps: "hidden" of layer 2: out: expected memory of its own, got some of what "hidden" of layer 0 writes',
  });
  const wide = device.empty("f32", [T, 48]);
  const columns = (start: number) => wide.slice(1, start, start + 24);
  const long = device.empty("f32", [2 * T, 24]);
  const rows = (start: number) => long.slice(0, start, start + T);
  expect(forward(rows(0), rows(0))).toThrow(refusal);
  expect(forward(rows(0), rows(T - 1))).toThrow(refusal);
  expect(forward(rows(T - 1), rows(0))).toThrow(refusal);
  expect(forward(columns(0), columns(23))).toThrow(refusal);
  expect(forward(columns(24), columns(1))).toThrow(refusal);
  // Side by side is what a draft model reads: the columns of one matrix.
  const apart = stream.scope();
  forward(rows(0), rows(T))();
  forward(columns(24), columns(0))();
  apart.close();
  const [behind, stacked] = [await wide.read(stream), await long.read(stream)];
  for (let t = 0; t < T; t++) {
    expect(behind.slice(t * 48 + 24, (t + 1) * 48)).toEqual(stacked.slice(t * 24, (t + 1) * 24));
    expect(behind.slice(t * 48, t * 48 + 24)).toEqual(stacked.slice((T + t) * 24, (T + t + 1) * 24));
  }
  await device.dispose();
});
