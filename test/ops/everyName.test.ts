/**
 * Contract: whatever kernel WARPLOOP_KERNEL names, a call that the op takes ends with the right result or with the reason why this
 * kernel cannot run it: every name of every table (native/cuda/choose.h) by every mix of dtypes, by rows that are aligned and that
 * are not, by numbers of rows from 0. On the emulated GPU.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { native } from "../../lib/device/native.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { indexerTopK } from "../../lib/ops/indexerTopK.js";
import { linear } from "../../lib/ops/linear.js";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { emptyGroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { flashAttention as flashReference } from "../reference/flashAttention.js";
import { groupedLinear as groupedReference } from "../reference/groupedLinear.js";
import { indexerTopK as indexerReference } from "../reference/indexerTopK.js";
import { linear as linearReference } from "../reference/linear.js";
import { expectClose } from "../support/compare.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { expectChosen, makeInputs } from "../support/indexerCalls.js";
import { Random } from "../support/random.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);
const floats = ["f32", "bf16", "f16"] as const;
const attentionOps = ["flashAttention", "pagedAttention", "mlaAttention"] as const;
type AttentionOp = (typeof attentionOps)[number];
const ops = ["linear", "groupedLinear", ...attentionOps, "indexerTopK"] as const;
type Op = (typeof ops)[number];

/** Whether rows begin at multiples of 16 bytes. */
type Layout = "aligned" | "odd";

let device: Device;
beforeAll(() => {
  device = openTestDevice();
});
afterAll(() => device.dispose());

/** `values` of a shape; odd: as columns of a wider tensor, behind the first. */
function tensorOf(
  stream: Stream,
  dtype: FloatDType,
  shape: readonly number[],
  values: Float64Array,
  layout: Layout = "aligned",
): Tensor {
  if (layout === "aligned") return stream.fromArray(dtype, shape, toStorage(dtype, values));
  const [outer, width] = [shape.slice(0, -1), shape.at(-1)!];
  const rows = outer.reduce((a, b) => a * b, 1);
  const wide = new Float64Array(rows * (width + 1)).fill(NaN);
  for (let r = 0; r < rows; r++) wide.set(values.subarray(r * width, (r + 1) * width), r * (width + 1) + 1);
  return stream.fromArray(dtype, [...outer, width + 1], toStorage(dtype, wide)).slice(-1, 1, width + 1);
}

interface ProductCase {
  readonly T: number;
  readonly K: number;
  readonly dtype: FloatDType;
  readonly weightType: FloatDType;
  readonly out: FloatDType;
  readonly layout: Layout;
}

const N = 72;

async function runLinear(
  stream: Stream,
  { T, K, dtype, weightType, out, layout }: ProductCase,
): Promise<void> {
  const random = new Random(3);
  const [x, weight] = [random.normal(T * K, { dtype }), random.normal(N * K, { dtype: weightType })];
  const packed = packLinear(stream, tensorOf(stream, weightType, [N, K], weight));
  const result = linear(stream, tensorOf(stream, dtype, [T, K], x, layout), packed, { dtype: out });
  const expected = linearReference(x, weight, { T, N, K }, {});
  expectClose(await result.readFloat32(stream), expected, { dtype: out, shape: [T, N], reduction: K });
}

async function runGrouped(stream: Stream, c: ProductCase): Promise<void> {
  const { T, K, dtype, weightType, out, layout } = c;
  const random = new Random(4);
  const offsets = Int32Array.of(0, Math.floor(T / 3), T);
  const [x, weight] = [random.normal(T * K, { dtype }), random.normal(2 * N * K, { dtype: weightType })];
  const packed = emptyGroupedWeight(stream, {
    experts: 2,
    outputs: N,
    inputs: K,
    dtype: weightType,
    swiglu: false,
  });
  for (let e = 0; e < 2; e++) {
    const expert = weight.subarray(e * N * K, (e + 1) * N * K);
    packExpert(stream, packed, e, tensorOf(stream, weightType, [N, K], expert));
  }
  const rows = tensorOf(stream, dtype, [T, K], x, layout);
  const result = groupedLinear(stream, rows, packed, stream.fromArray("i32", [3], offsets), { dtype: out });
  // The reference counts rows by the elements of x.
  const expected = K === 0 ? new Float64Array(T * N) : groupedReference(x, weight, offsets, { N, K }, {});
  expectClose(await result.readFloat32(stream), expected, { dtype: out, shape: [T, N], reduction: K });
}

interface AttentionCase {
  readonly Lq: number;
  readonly Dh: number;
  readonly dtype: FloatDType;
  readonly kvType: FloatDType;
  readonly out: FloatDType;
  readonly layout: Layout;
  readonly planned: boolean;
  /** Of mlaAttention: all tokens, named by `indices`. */
  readonly chosen?: boolean;
}

const keys = 48;

async function runAttention(op: AttentionOp, stream: Stream, c: AttentionCase): Promise<void> {
  const { Lq, Dh, dtype, kvType, out: outType, layout, planned, chosen } = c;
  const Dv = op === "mlaAttention" ? Dh - 16 : Dh;
  const random = new Random(5);
  const q = random.normal(Lq * 2 * Dh, { dtype });
  const k = random.normal(keys * Dh, { dtype: kvType });
  // Latents are keys, and their first columns values.
  const v = Dv < Dh ? k.filter((_, i) => i % Dh < Dv) : random.normal(keys * Dv, { dtype: kvType });
  const queries = tensorOf(stream, dtype, [Lq, 2, Dh], q, layout);
  const out = stream.empty(outType, [Lq, 2, Dv]);
  const integers = (...values: number[]) => stream.fromArray("i32", [values.length], Int32Array.from(values));
  const table = stream.fromArray("i32", [1, 3], Int32Array.of(0, 1, 2));
  const sequence = [table, integers(0), integers(0, Lq), integers(keys)] as const;
  const sizes = { numQueries: Lq, numHeads: 2, numKvHeads: 1, headDim: Dh, pageSize: 16, dtype };
  const latent = Dv < Dh ? Dv : 0;
  const plan = planned
    ? attentionPlan(stream, ...sequence, { ...sizes, kvDtype: kvType, latent })
    : undefined;
  if (op === "flashAttention") {
    const rows = (values: Float64Array) => tensorOf(stream, kvType, [keys, 1, Dh], values);
    flashAttention(stream, queries, rows(k), rows(v), { out });
  } else if (op === "pagedAttention") {
    const pages = (values: Float64Array) => tensorOf(stream, kvType, [keys / 16, 16, 1, Dh], values);
    pagedAttention(stream, queries, pages(k), pages(v), ...sequence, { out, plan });
  } else {
    const latents = tensorOf(stream, kvType, [keys / 16, 16, Dh], k);
    const named = Int32Array.from({ length: Lq * keys }, (_, i) => i % keys);
    const indices = chosen ? stream.fromArray("i32", [Lq, keys], named) : undefined;
    const options = { latent, scale: 1 / Math.sqrt(Dh), out, plan, indices };
    mlaAttention(stream, queries, latents, ...sequence, options);
  }
  const expected = flashReference(q, k, v, { Hq: 2, Hkv: 1, Dh, Dv }, { causal: true });
  expectClose(await out.readFloat32(stream), expected.out, {
    ...{ dtype: outType, shape: [Lq, 2, Dv], reduction: keys + Dh },
    intermediate: kvType === dtype ? dtype : "f32",
  });
}

interface IndexerCase {
  readonly T: number;
  readonly Hi: number;
  readonly Di: number;
  readonly dtype: FloatDType;
  readonly keyDtype: FloatDType;
  readonly layout: Layout;
}

async function runIndexer(stream: Stream, { T, Hi, Di, layout, ...dtypes }: IndexerCase): Promise<void> {
  const topK = 20;
  const lens = [[T, 90]] as const;
  const inputs = makeInputs({ name: "", lens, topK, Hi, Di, ...dtypes }, new Random(6));
  const { P, shape, scale } = inputs;
  const [q, weights, keyPages, ...numbers] = inputs.arguments;
  const [table, ...lists] = numbers.map((values) => stream.fromArray("i32", [values.length], values));
  const out = indexerTopK(
    stream,
    tensorOf(stream, dtypes.dtype, [T, Hi, Di], q, layout),
    tensorOf(stream, "f32", [T, Hi], weights, layout),
    tensorOf(stream, dtypes.keyDtype, [P, shape.Ps, Di], keyPages, layout),
    table!.reshape([-1, shape.Pmax]),
    ...(lists as [Tensor, Tensor, Tensor]),
    { topK, scale },
  );
  const { scores } = indexerReference(...inputs.arguments, shape, { topK, scale });
  expectChosen((await out.read(stream)) as Int32Array, scores, topK, shape);
}

/** All combinations of the options' values. */
function combinations<T extends Record<string, readonly unknown[]>>(
  options: T,
): { [K in keyof T]: T[K][number] }[] {
  let all: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(options))
    all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  return all as { [K in keyof T]: T[K][number] }[];
}

const layouts = ["aligned", "odd"] as const;
/** x is f32, or of the dtype of the weight. */
const products: readonly ProductCase[] = combinations({
  size: [
    [35, 64],
    [0, 64],
    [1, 64],
    [35, 0],
    [35, 44],
  ],
  ...{ dtype: floats, weightType: floats, out: floats, layout: layouts },
} as const)
  .map(({ size: [T, K], ...others }) => ({ T, K, ...others }))
  .filter(({ dtype, weightType, T, K, out }) => {
    const everyOut = K === 64 && T === 35;
    return (dtype === "f32" || dtype === weightType) && (everyOut || out === "f32");
  });
const attentions: readonly AttentionCase[] = combinations({
  size: [
    [33, 48],
    [1, 272],
  ],
  ...{ dtype: floats, kvType: floats, out: floats, layout: layouts, planned: [false, true] },
} as const)
  .map(({ size: [Lq, Dh], ...others }) => ({ Lq, Dh, ...others }))
  .filter(({ layout, planned, out, dtype }) => !planned || (out === dtype && layout === "aligned"));

const indexers: readonly IndexerCase[] = combinations({
  size: [
    [5, 4, 32],
    [0, 4, 32],
    [3, 96, 16],
    [3, 2, 144],
  ],
  ...{ dtype: floats, keyDtype: floats, layout: layouts },
} as const).map(({ size: [T, Hi, Di], ...others }) => ({ T, Hi, Di, ...others }));

/** A stream on which an op has one kernel alone; another one after an error, which poisons it. */
class ForcedKernel {
  #stream: Stream | undefined;
  constructor(readonly wish: string) {}

  /** What came of a call: nothing if it was right, the reason of a refusal, or what is wrong with it. */
  async outcome(run: (stream: Stream) => Promise<void>): Promise<string> {
    this.#stream ??= withEnvironment({ WARPLOOP_KERNEL: this.wish }, () => device.createStream());
    const scope = this.#stream.scope();
    try {
      await run(this.#stream);
      scope.close();
      return "";
    } catch (error) {
      scope.close();
      await this.dispose();
      return /cannot run this: ([^(]+)/.exec(String(error))?.[1] ?? `wrong: ${String(error)}`;
    }
  }

  async dispose(): Promise<void> {
    await this.#stream?.dispose();
    this.#stream = undefined;
  }
}

type Call = (stream: Stream) => Promise<void>;

/** The calls of an op on activations of a dtype, by what they are. */
function callsOf(op: Op, dtype: FloatDType): Map<string, Call> {
  const calls = new Map<string, Call>();
  if (op === "linear" || op === "groupedLinear") {
    const run = op === "linear" ? runLinear : runGrouped;
    for (const c of products) if (c.dtype === dtype) calls.set(JSON.stringify(c), (stream) => run(stream, c));
    return calls;
  }
  if (op === "indexerTopK") {
    for (const c of indexers)
      if (c.dtype === dtype) calls.set(JSON.stringify(c), (stream) => runIndexer(stream, c));
    return calls;
  }
  for (const c of attentions) {
    const isCase = op === "flashAttention" ? !c.planned : c.planned || c.out === dtype;
    if (!isCase || c.dtype !== dtype) continue;
    const variants = op === "mlaAttention" && !c.planned ? [c, { ...c, chosen: true }] : [c];
    for (const one of variants) calls.set(JSON.stringify(one), (stream) => runAttention(op, stream, one));
  }
  return calls;
}

/** The names of an op's table, as the error of a wish for none of them has them. */
function namesOf(op: Op): string[] {
  let message = "";
  try {
    withEnvironment({ WARPLOOP_KERNEL: `${op}:none` }, () => device.createStream());
  } catch (error) {
    message = String(error);
  }
  return /expected one of (.*), or for the best of a group/.exec(message)![1]!.split(", ");
}

const tables = ops.flatMap((op) => floats.map((dtype) => [op, dtype] as const));

onSimt.each(tables)("%s of %s", (op, dtype) => {
  test("each name of its table runs what it can and refuses the rest with a reason", async () => {
    const calls = callsOf(op, dtype);
    const names = namesOf(op);
    expect(names.length).toBeGreaterThan(1);
    const wrong: string[] = [];
    const refused = new Set(calls.keys()); // by all
    for (const name of names) {
      const kernel = new ForcedKernel(`${op}:${name}`);
      for (const [what, call] of calls) {
        const outcome = await kernel.outcome(call);
        if (outcome === "") refused.delete(what);
        if (outcome.startsWith("wrong")) wrong.push(`${name}, ${what}: ${outcome}`);
      }
      await kernel.dispose();
    }
    expect(wrong).toEqual([]);
    expect([...refused]).toEqual([]);
  });
});
