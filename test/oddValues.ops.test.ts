/**
 * Contract: an op called from plain JavaScript with a wrong thing throws a typed error that begins with the op and names the
 * argument, and nothing is queued. Each function of `ops` has a row; each argument and each option gets each odd value.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import * as ops from "../lib/ops/index.js";
import { Device } from "../lib/device/device.js";
import type { Stream } from "../lib/device/stream.js";
import { Tensor } from "../lib/device/tensor.js";
import { openTestDevice } from "./support/devices.js";
import { opFaultOf, messageOf, oddValues, oddValuesOfStreams } from "./support/oddValues.js";
import { quantizedWeight } from "./support/quantizedWeights.js";

type Arguments = Readonly<Record<string, unknown>>;
type Call = (...args: unknown[]) => unknown;

/** A valid call: the arguments behind the stream in order, and every option. */
interface Row {
  readonly given: Arguments;
  readonly options?: Arguments;
  /** What the options object is called. */
  readonly object?: string;
}

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice({ threads: 1 });
  stream = device.createStream();
});
afterAll(() => device.dispose());

const f32 = (...shape: number[]) => {
  const count = shape.reduce((product, size) => product * size, 1);
  return stream.fromArray("f32", shape, new Float32Array(count).fill(0.5));
};
const i32 = (shape: number[], ...values: number[]) => stream.fromArray("i32", shape, Int32Array.from(values));
const zeros = (...shape: number[]) =>
  i32(shape, ...new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(0));
const dtype = "f32";

const sequence = () => ({
  ...{ pageTable: zeros(1, 1), rows: zeros(1), cuSeqlensQ: i32([2], 0, 1), contextLens: i32([1], 1) },
});

/** Of one sequence with one query; of `mlaAttention` with `latent`. */
function plan(latent = 0) {
  const { pageTable, rows, cuSeqlensQ, contextLens } = sequence();
  const sizes = { numQueries: 1, numHeads: 1, numKvHeads: 1, headDim: 16 + latent, latent, pageSize: 4 };
  return ops.attentionPlan(stream, pageTable, rows, cuSeqlensQ, contextLens, { ...sizes, dtype });
}

function group() {
  return ops.emptyGroupedWeight(stream, { experts: 2, outputs: 16, inputs: 8, dtype, swiglu: false });
}

const stored = () =>
  new ops.StoredRows({ format: "int8", outputs: 2, inputs: 32 }, { codes: zeros(16), scales: f32(2) });

const rows: Readonly<Record<string, () => Row>> = {
  add: () => ({ given: { a: f32(2, 4), b: f32(2, 4) }, options: { scale: 2, out: f32(2, 4) } }),
  argmax: () => ({ given: { logits: f32(2, 4) }, options: { out: zeros(2), status: zeros(2) } }),
  attentionPlan: () => ({
    given: sequence(),
    options: {
      ...{ numQueries: 1, numHeads: 1, numKvHeads: 1, headDim: 16, valueDim: 16, pageSize: 4, window: 0 },
      ...{ latent: 0, dtype, kvDtype: dtype, out: plan() },
    },
  }),
  cast: () => ({ given: { x: f32(2, 4), dtype }, options: { out: f32(2, 4) } }),
  causalConv1d: () => ({
    given: { x: f32(1, 4), weight: f32(4, 2) },
    options: {
      ...{ bias: f32(4), activation: "silu", cuSeqlensQ: i32([2], 0, 1), contextLens: i32([1], 1) },
      ...{ state: f32(1, 1, 4), stateIndices: zeros(1), out: f32(1, 4) },
    },
  }),
  clamp: () => ({ given: { x: f32(2, 4) }, options: { limit: 2, dtype, out: f32(2, 4) } }),
  copy: () => ({ given: { src: f32(2, 4), dst: f32(2, 4) } }),
  dequantize: () => ({ given: { stored: stored() }, options: { dtype, out: f32(2, 32) } }),
  embedding: () => ({ given: { ids: zeros(3), table: f32(5, 4) }, options: { dtype, out: f32(3, 4) } }),
  emptyGroupedWeight: () => ({
    given: {},
    options: { experts: 2, outputs: 16, inputs: 8, dtype, swiglu: false },
    object: "shape",
  }),
  emptyPermutation: () => ({ given: { numTokens: 2, topK: 1, numExperts: 4 } }),
  emptyStoredRows: () => ({
    given: {},
    options: { format: "int8", outputs: 2, inputs: 32, group: 0, scale: "bf16" },
    object: "shape",
  }),
  flashAttention: () => ({
    given: { q: f32(2, 1, 16), k: f32(2, 1, 16), v: f32(2, 1, 16) },
    options: {
      ...{ cuSeqlensQ: i32([2], 0, 2), cuSeqlensK: i32([2], 0, 2), lse: f32(2, 1), out: f32(2, 1, 16) },
      ...{ causal: true, scale: 1, window: 0, blockMask: i32([2, 1, 1], 1, 1) },
    },
  }),
  gatherInputs: () => ({
    given: { x: f32(2, 3), inputOrder: i32([1, 3], 2, 0, 1) },
    options: { offsets: i32([2], 0, 2), order: i32([2], 1, 0), topK: 1, out: f32(2, 3) },
  }),
  gelu: () => ({ given: { x: f32(2, 4) }, options: { approximate: "tanh", dtype, out: f32(2, 4) } }),
  geluMul: () => ({ given: { x: f32(2, 4) }, options: { approximate: "none", dtype, out: f32(2, 2) } }),
  groupedLinear: () => ({
    given: { x: f32(2, 8), weight: group(), offsets: i32([3], 0, 1, 2) },
    options: { order: i32([2], 0, 1), topK: 1, bias: f32(2, 16), clamp: undefined, dtype, out: f32(2, 16) },
  }),
  headLinear: () => ({ given: { x: f32(2, 2, 8), weight: group() }, options: { dtype, out: f32(2, 2, 16) } }),
  indexerTopK: () => ({
    given: { q: f32(1, 2, 16), weights: f32(1, 2), keyPages: f32(2, 4, 16), ...sequence() },
    options: { topK: 2, scale: 1, out: zeros(1, 2) },
  }),
  kvStore: () => ({
    given: {
      ...{ k: f32(1, 1, 16), v: f32(1, 1, 16), kPages: f32(2, 4, 1, 16), vPages: f32(2, 4, 1, 16) },
      slots: zeros(1),
    },
  }),
  layerNorm: () => ({
    given: { x: f32(2, 4), weight: f32(4), bias: f32(4) },
    options: { eps: 1e-5, dtype, out: f32(2, 4) },
  }),
  linear: () => ({
    given: { x: f32(2, 8), weight: ops.packLinear(stream, f32(16, 8)) },
    options: { bias: f32(16), residual: f32(2, 16), dtype, out: f32(2, 16) },
  }),
  logprobs: () => ({ given: { logits: f32(2, 4), ids: zeros(2) }, options: { topN: 1, status: zeros(2) } }),
  mlaAttention: () => ({
    given: { q: f32(1, 1, 32), latentPages: f32(2, 4, 32), ...sequence() },
    options: { latent: 16, scale: 1, maxQueries: 0, plan: plan(16), lse: f32(1, 1), out: f32(1, 1, 16) },
  }),
  moeCombine: () => ({
    given: { y: f32(2, 4), inverse: i32([1, 2], 0, 1), weights: f32(1, 2) },
    options: { residual: f32(1, 4), offsets: i32([2], 0, 2), dtype, out: f32(1, 4) },
  }),
  moeCount: () => ({ given: { experts: i32([1, 1], 0), counts: zeros(2, 2) }, options: { slots: zeros(1) } }),
  moePermute: () => ({ given: { experts: i32([1, 2], 0, 1), numExperts: 2 } }),
  moeRoute: () => ({
    given: { logits: f32(2, 4) },
    options: {
      ...{ topK: 1, scores: "softmax", renormalize: true, scale: 1, bias: f32(4), groups: 1, topGroups: 1 },
      permutation: { order: zeros(2), inverse: zeros(2, 1), offsets: zeros(5) },
      ...{ groupBest: 1, out: { weights: f32(2, 1), experts: zeros(2, 1) } },
    },
  }),
  packExpert: () => ({ given: { group: group(), expert: 0, weight: f32(16, 8) } }),
  packLinear: () => ({ given: { weight: f32(16, 8) }, options: { transpose: false } }),
  packStored: () => ({
    given: { stored: stored(), weight: quantizedWeight(device, { format: "int8" }, 2, 32) },
    options: { first: 0, expert: 0 },
  }),
  pagedAttention: () => ({
    given: { q: f32(1, 1, 16), kPages: f32(2, 4, 1, 16), vPages: f32(2, 4, 1, 16), ...sequence() },
    options: { window: 0, causal: true, plan: plan(), blockMask: zeros(1, 1, 1), out: f32(1, 1, 16) },
  }),
  qkNormRopeStore: () => ({
    given: { q: f32(1, 2, 16), k: f32(1, 1, 16), v: f32(1, 1, 16) },
    options: {
      ...{ positions: zeros(1), table: f32(4, 16), slots: zeros(1) },
      ...{ kPages: f32(2, 4, 1, 16), vPages: f32(2, 4, 1, 16) },
      ...{ qWeight: f32(16), kWeight: f32(16), eps: 1e-6 },
    },
  }),
  quantize: () => ({ given: { x: f32(2, 32), stored: stored() }, options: { positive: false } }),
  rmsNorm: () => ({
    given: { x: f32(2, 4), weight: f32(4) },
    options: { eps: 1e-6, weightOffset: 0, residual: f32(2, 4), gate: f32(2, 4), dtype, out: f32(2, 4) },
  }),
  rope: () => ({
    given: { q: f32(1, 1, 16), k: f32(1, 1, 16), positions: zeros(1), table: f32(4, 16) },
    options: { interleaved: false },
  }),
  sample: () => ({
    given: { logits: f32(1, 4) },
    options: {
      ...{ floats: stream.fromArray("f32", [1, 6], Float32Array.of(1, 1, 0, 1, 0, 0)), out: zeros(1) },
      ...{ ints: i32([1, 6], 0, 1, 2, -1, 1, 0), positions: i32([1], 1), tokenPool: zeros(1, 4) },
      ...{ biasIds: zeros(1, 1), biasValues: f32(1, 1), suppressedIds: i32([1, 1], -1) },
      ...{ bitmask: i32([1, 1], -1), status: zeros(1) },
    },
  }),
  siluMul: () => ({
    given: { x: f32(2, 4) },
    options: { clamp: { limit: 7, alpha: 1.702 }, dtype, out: f32(2, 2) },
  }),
  softcap: () => ({ given: { x: f32(2, 4) }, options: { cap: 30, dtype, out: f32(2, 4) } }),
  softmax: () => ({ given: { x: f32(2, 4) }, options: { causal: false, scale: 1, dtype, out: f32(2, 4) } }),
  ssmScan: () => ({
    given: { x: f32(1, 2, 4), dt: f32(1, 2), a: f32(2), b: f32(1, 1, 3), c: f32(1, 1, 3) },
    options: {
      ...{ skip: f32(2), dtBias: f32(2), dtMin: 0, dtMax: 1, cuSeqlensQ: i32([2], 0, 1) },
      ...{ contextLens: i32([1], 1), state: f32(1, 2, 3, 4), stateIndices: zeros(1), out: f32(1, 2, 4) },
    },
  }),
  stepInputs: () => ({
    given: { numTokens: 1 },
    options: {
      ...{ rows: zeros(1), starts: zeros(1), cuSeqlensQ: i32([2], 0, 1), logitIndices: zeros(1) },
      ...{ lengths: zeros(2), tokenPool: zeros(2, 4), pageTables: i32([1, 2, 1], 1, 0) },
      ...{ groups: i32([1, 2], 4, 1), samplePositions: zeros(1) },
    },
  }),
  tableGather: () => ({
    given: { table: zeros(2, 3), rows: zeros(2), cols: zeros(2) },
    options: { out: zeros(2) },
  }),
  tableScatter: () => ({
    given: { table: zeros(2, 3), rows: i32([2], 0, 1), cols: zeros(2), values: zeros(2) },
  }),
};

const functions = Object.fromEntries(
  Object.entries(ops).filter(([name, value]) => typeof value === "function" && /^[a-z]/.test(name)),
) as unknown as Readonly<Record<string, Call>>;

describe("every function of ops", () => {
  it("has a row with all its arguments", () => {
    expect(Object.keys(rows)).toEqual(Object.keys(functions).sort());
  });

  it.each(Object.keys(rows))("%s says which argument is wrong", async (name) => {
    const { given, options, object = "options" } = rows[name]!();
    const op = functions[name]!;
    const values = Object.values(given);
    const all = [...values, ...(options ? [options] : [])];
    op(stream, ...all);
    const odd = { ...oddValues, ...oddValuesOfStreams(stream) };
    const found: string[] = [];
    // Where a shape or one of two is wrong, the check may meet the other argument first.
    const related = /tensor of no axes|undefined|cols = null/;
    const attempt = (what: string, argument: string, call: () => unknown) => {
      const begin = related.test(what) ? "\\w+\\b" : argument;
      const fault = opFaultOf(call, new RegExp(`^${name}: ${begin}`));
      if (fault !== undefined) found.push(`${what}: ${fault}`);
    };
    for (const [label, make] of Object.entries(odd)) {
      attempt(`stream = ${label}`, "stream: ", () => op(make(), ...all));
      for (const [i, argument] of Object.keys(given).entries()) {
        attempt(`${argument} = ${label}`, `${argument}\\b`, () =>
          op(stream, ...all.map((value, at) => (at === i ? make() : value))),
        );
      }
      if (!options) continue;
      attempt(`${object} = ${label}`, `(${object}\\b|unknown option|\\w+: expected)`, () =>
        op(stream, ...values, make()),
      );
      for (const option of Object.keys(options)) {
        const call = () => op(stream, ...values, { ...options, [option]: make() });
        attempt(`${option} = ${label}`, `${option}\\b`, call);
      }
    }
    attempt("no arguments", "stream: ", () => op());
    expect(found).toEqual([]);
    await stream.synchronize(); // nothing odd was queued
  });

  it.each(Object.keys(rows))("%s keeps no memory of a call that fails", (name) => {
    const { given, options: { out: _, ...options } = {} } = rows[name]!();
    const values = Object.values(given);
    const odd = [f32(1, 1, 1, 1), zeros(7), f32(3, 5)];
    using allocate = vi.spyOn(device, "allocate");
    for (const [i, value] of values.entries()) {
      if (!Tensor.is(value)) continue;
      for (const wrong of odd) {
        allocate.mockClear();
        const call = () =>
          functions[name]!(stream, ...values.map((one, at) => (at === i ? wrong : one)), options);
        if (messageOf(call) === "none") continue;
        for (const { value: memory } of allocate.mock.results)
          expect(memory).toHaveProperty("disposed", true);
      }
    }
  });

  it.each(Object.keys(rows))("%s refuses what it does not take", (name) => {
    const { given, options } = rows[name]!();
    const op = functions[name]!;
    const [first = "", value] = Object.entries(given)[0] ?? Object.entries(options ?? {})[0] ?? [];
    expect(() => op(stream, ...Object.values(given), options, value)).toThrow(/^\w+: expected \d arguments/);
    if (!options) return;
    const call = (extra: object) => op(stream, ...Object.values(given), { ...options, ...extra });
    const last = Object.keys(options).at(-1)!;
    expect(() => call({ [`${last}_`]: 1 })).toThrow(
      `${name}: unknown option "${last}_"; did you mean "${last}"?`,
    );
    expect(() => call(Object.create({ nonsense: first }) as object)).not.toThrow(); // a spread has own names alone
  });
});

describe("an error of an op", () => {
  const wrong = (call: (o: Readonly<Record<string, Call>>) => unknown) => messageOf(() => call(functions));

  it("says what was expected and what came: streams, tensors and weights", async () => {
    const x = f32(2, 8);
    const packed = ops.packLinear(stream, f32(16, 8));
    const closed = f32(2, 8);
    closed.dispose();
    const ended = device.createStream();
    await ended.dispose();
    const other = Device.open("cpu", { threads: 1 });
    const foreign = other.empty("f32", [2, 8]);
    expect([
      wrong((o) => o["add"]!(stream, [1, 2], x)),
      wrong((o) => o["add"]!(stream, x, new Float32Array(16))),
      wrong((o) => o["add"]!(stream, x, packed)),
      wrong((o) => o["add"]!(stream, x, closed)),
      wrong((o) => o["add"]!(stream, x, foreign)),
      wrong((o) => o["add"]!(x, x)),
      wrong((o) => o["add"]!(ended, x, x)),
      wrong((o) => o["add"]!(stream, x, x, x)),
      wrong((o) => o["linear"]!(stream, x, x)),
      wrong((o) => o["groupedLinear"]!(stream, x, packed, zeros(3))),
      wrong((o) => o["siluMul"]!(stream, stream.empty("f32", []))),
    ]).toMatchInlineSnapshot(`
      [
        "ERR_ARGUMENT_TYPE add: a: expected a Tensor (stream.fromArray makes one), got an array",
        "ERR_ARGUMENT_TYPE add: b: expected a Tensor (stream.fromArray makes one), got an object of class Float32Array",
        "ERR_ARGUMENT_TYPE add: b: expected a Tensor, got a packed weight",
        "ERR_CLOSED add: b: this Tensor is closed",
        "ERR_ARGUMENT_TYPE add: b: the tensor and the stream are of different devices, which is cpu opened twice",
        "ERR_ARGUMENT_TYPE add: stream: expected a Stream, got an object of class Tensor",
        "ERR_CLOSED add: stream: this Stream is closed",
        "ERR_ARGUMENT_TYPE add: options: expected an options object, got an object of class Tensor",
        "ERR_ARGUMENT_TYPE linear: weight: expected a weight from packLinear, got a Tensor",
        "ERR_ARGUMENT_TYPE groupedLinear: weight: expected a weight from emptyGroupedWeight, got a packed weight",
        "ERR_ARGUMENT_RANGE siluMul: x []: tensor: axis number -1 of a tensor of rank 0",
      ]
    `);
    await other.dispose();
  });

  it("says what was expected and what came: options and numbers", () => {
    const x = f32(2, 8);
    const route = { topK: 1, scores: "sigmoid", renormalize: true, scale: Infinity };
    expect([
      wrong((o) => o["cast"]!(stream, x, "float32")),
      wrong((o) => o["rmsNorm"]!(stream, x, f32(8), { dtype: "BF16" })),
      wrong((o) => o["rmsNorm"]!(stream, x, f32(8), { eps: "1e-6" })),
      wrong((o) => o["rmsNorm"]!(stream, x, f32(8), { weight_offset: 1 })),
      wrong((o) => o["rmsNorm"]!(stream, x, f32(8), { weightOffset: NaN })),
      wrong((o) => o["gelu"]!(stream, x)),
      wrong((o) => o["gelu"]!(stream, x, { approximate: true })),
      wrong((o) => o["moeRoute"]!(stream, x, route)),
      wrong((o) => o["moePermute"]!(stream, zeros(1, 2), -1)),
      wrong((o) => o["copy"]!(stream, x, x, {})),
      wrong((o) => o["moeRoute"]!(stream, x, { ...route, topK: 0 })),
      wrong((o) => o["moeRoute"]!(stream, x, { ...route, topGroups: 0 })),
      wrong((o) => o["groupedLinear"]!(stream, x, group(), zeros(3), { topK: 0 })),
      wrong((o) => o["emptyGroupedWeight"]!(stream, { experts: 0 })),
    ]).toMatchInlineSnapshot(`
      [
        "ERR_ARGUMENT_RANGE cast: dtype: expected "f32" or "f16" or "bf16", got "float32"",
        "ERR_ARGUMENT_RANGE rmsNorm: dtype: expected "f32" or "f16" or "bf16", got "BF16"",
        "ERR_ARGUMENT_TYPE rmsNorm: eps: expected a number, got "1e-6"",
        "ERR_UNKNOWN_OPTION rmsNorm: unknown option "weight_offset"; did you mean "weightOffset"?",
        "ERR_ARGUMENT_RANGE rmsNorm: weightOffset: expected a finite number, got nan",
        "ERR_ARGUMENT_TYPE gelu: options: expected an options object with approximate, got undefined",
        "ERR_ARGUMENT_TYPE gelu: approximate: expected "none" or "tanh", got boolean true",
        "ERR_ARGUMENT_RANGE moeRoute: scale: expected a finite number, got inf",
        "ERR_ARGUMENT_RANGE moePermute: numExperts: expected a whole number from 1 to 2147483647, got number -1",
        "ERR_ARGUMENT_TYPE copy: expected 2 arguments behind the stream, got 3; the first too many is an object",
        "ERR_ARGUMENT_RANGE moeRoute: topK: expected a whole number from 1 to 4096, got number 0",
        "ERR_ARGUMENT_RANGE moeRoute: topGroups: expected a whole number from 1 to 2147483647, got number 0",
        "ERR_ARGUMENT_RANGE groupedLinear: topK: expected a whole number from 1 to 2147483647, got number 0",
        "ERR_ARGUMENT_RANGE emptyGroupedWeight: experts: expected a whole number from 1 to 2146435072, got number 0",
      ]
    `);
  });

  it("says that paged attention is causal when it is asked not to be", () => {
    const given = Object.values(rows["pagedAttention"]!().given);
    expect(wrong((o) => o["pagedAttention"]!(stream, ...given, { causal: false }))).toBe(
      "ERR_ARGUMENT_TYPE pagedAttention: causal: expected true, which it always is, got boolean false",
    );
  });

  it("is the caller's own error as the cause, when a getter throws", () => {
    const cause = new Error("a trap");
    const options = Object.defineProperty({}, "eps", {
      enumerable: true,
      get: () => {
        throw cause;
      },
    });
    const call = () => ops.rmsNorm(stream, f32(2, 4), f32(4), options);
    expect(call).toThrow(expect.objectContaining({ name: "ArgumentTypeError", cause }));
  });

  it("comes from what was checked, also when an argument is not the same twice", () => {
    let reads = 0;
    const out = f32(2, 4);
    const changing = Object.defineProperty({}, "out", { enumerable: true, get: () => (reads++ ? 5 : out) });
    expect(() => ops.add(stream, f32(2, 4), f32(2, 4), changing)).toThrow(/^add: /);
  });
});
