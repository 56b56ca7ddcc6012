/**
 * Contract: an op that needs the stream's scratch memory stays inside it: with less of it, it takes more launches or fewer
 * splits and gives the same result, or says that it does not fit. The emulated GPU looks at the bytes behind the workspace and
 * at the counters after every command, so writing beyond either fails a case.
 */
import { describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { ExecutionError } from "../../lib/errors.js";
import { native } from "../../lib/device/native.js";
import type { HostArray } from "../../lib/device/dtype.js";
import { argmax } from "../../lib/ops/argmax.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { indexerTopK } from "../../lib/ops/indexerTopK.js";
import { linear } from "../../lib/ops/linear.js";
import { logprobs } from "../../lib/ops/logprobs.js";
import { moePermute } from "../../lib/ops/moePermute.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { expectClose } from "../support/compare.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { someOf } from "../support/seed.js";

interface ScratchCase {
  readonly name: string;
  readonly run: (
    stream: Stream,
    normal: (dtype: FloatDType, shape: readonly number[]) => Tensor,
  ) => readonly Tensor[];
  /** Whether some sizes are too small for any way of doing it. */
  readonly refuses: boolean;
  /** Splits change the order of sums. */
  readonly reduction?: number;
}

const integers = (stream: Stream, shape: readonly number[], values: readonly number[]) =>
  stream.fromArray("i32", shape, Int32Array.from(values));

/** Row 3 is odd, so that the statuses of rows differ. */
function withNaN(stream: Stream, logits: Tensor): Tensor {
  logits.slice(0, 3, 4).reshape([-1]).slice(0, 0, 1).write(stream, Float32Array.of(NaN));
  return logits;
}

const attention =
  (Dh: number, dtype: FloatDType): ScratchCase["run"] =>
  (stream, normal) => {
    const keys = 1100;
    const [q, k, v] = [
      normal(dtype, [21, 4, Dh]),
      normal(dtype, [2 * keys, 2, Dh]),
      normal(dtype, [2 * keys, 2, Dh]),
    ];
    const cuSeqlensQ = integers(stream, [3], [0, 1, 21]);
    return [
      flashAttention(stream, q, k, v, { cuSeqlensQ, cuSeqlensK: integers(stream, [3], [0, keys, 2 * keys]) }),
    ];
  };

const cases: readonly ScratchCase[] = [
  {
    name: "argmax",
    refuses: false,
    run: (stream, normal) => {
      const status = stream.empty("i32", [60]);
      return [argmax(stream, withNaN(stream, normal("f32", [60, 9000])), { status }), status];
    },
  },
  {
    name: "logprobs",
    refuses: true,
    run: (stream, normal) => {
      const ids = integers(stream, [5], [1, 2, 3, 4, 5]);
      const status = stream.empty("i32", [5]);
      const logits = withNaN(stream, normal("f32", [5, 9000]));
      const { chosen, topIds, topValues } = logprobs(stream, logits, ids, { topN: 2, status });
      return [chosen, topIds, topValues, status];
    },
  },
  ...[40, 1200].map((E) => ({
    name: `moePermute, ${E} experts`,
    refuses: true,
    run: (stream: Stream) => {
      const experts = integers(
        stream,
        [1500, 2],
        Array.from({ length: 3000 }, (_, i) => (i * 7919) % E),
      );
      const { order, inverse, offsets } = moePermute(stream, experts, E);
      return [order, inverse, offsets];
    },
  })),
  ...(
    [
      ["bf16", 2],
      ["bf16", 20],
      ["f32", 3],
    ] as const
  ).map(([dtype, T]) => ({
    name: `linear, ${T} rows of ${dtype}`,
    refuses: false,
    reduction: 2304,
    run: (stream: Stream, normal: (dtype: FloatDType, shape: readonly number[]) => Tensor) => {
      const packed = packLinear(stream, normal("bf16", [400, 2304]));
      return [linear(stream, normal(dtype, [T, 2304]), packed, { dtype: "f32" })];
    },
  })),
  ...(["bf16", "f32"] as const).map((dtype) => ({
    name: `indexerTopK, ${dtype}`,
    refuses: true,
    run: (stream: Stream, normal: (dtype: FloatDType, shape: readonly number[]) => Tensor) => {
      const [P, Ps] = [12, 64];
      const table = integers(
        stream,
        [1, P],
        Array.from({ length: P }, (_, i) => (i * 5) % P),
      );
      const [rows, cu, lens] = [[0], [0, 3], [600]].map((list) => integers(stream, [list.length], list));
      const [q, weights, keys] = [
        normal(dtype, [3, 2, 16]),
        normal("f32", [3, 2]),
        normal(dtype, [P, Ps, 16]),
      ];
      return [indexerTopK(stream, q, weights, keys, table, rows!, cu!, lens!, { topK: 20 })];
    },
  })),
  { name: "flashAttention", refuses: true, run: attention(64, "bf16") },
  { name: "flashAttention, f32", refuses: true, run: attention(16, "f32") },
  {
    name: "pagedAttention",
    refuses: true,
    run: (stream, normal) => {
      const [P, Ps, B] = [40, 64, 3];
      const pages = () => normal("bf16", [P, Ps, 2, 64]);
      const table = integers(
        stream,
        [B, P],
        Array.from({ length: B * P }, (_, i) => (i * 13) % P),
      );
      const [rows, cu, lens] = [
        [0, 1, 2],
        [0, 1, 2, 20],
        [1500, 600, 1100],
      ].map((list) => integers(stream, [list.length], list));
      return [
        pagedAttention(stream, normal("bf16", [20, 4, 64]), pages(), pages(), table, rows!, cu!, lens!),
      ];
    },
  },
];

/** That attention has besides those of split tiles: AttentionCounter of native/cuda/attention/items.cuh. */
const ownCounters = 4;

/** From what no op can do with to what suffices for all. */
const sizes = Array.from({ length: 13 }, (_, i) => 256 * Math.round(1.9 ** i));

/** What a case has made of the seed, in order: each of its runs begins with the same numbers. */
const inputs = new WeakMap<ScratchCase["run"], HostArray[]>();

async function outcome(device: Device, { run }: ScratchCase): Promise<Float64Array[] | "does not fit"> {
  const stream = withEnvironment({ WARPLOOP_KERNEL: "*:portable" }, () => device.createStream());
  const scope = stream.scope();
  const random = new Random(41);
  const made = inputs.get(run) ?? [];
  inputs.set(run, made);
  let next = 0;
  const normal = (dtype: FloatDType, shape: readonly number[]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    const values = (made[next++] ??= toStorage(dtype, random.normal(count, { dtype })));
    return stream.fromArray(dtype, shape, values);
  };
  try {
    const results = await Promise.all(
      run(stream, normal).map(async (tensor) =>
        Float64Array.from(
          tensor.dtype === "i32" ? await tensor.read(stream) : await tensor.readFloat32(stream),
        ),
      ),
    );
    return results;
  } catch (error) {
    if (error instanceof ExecutionError && /does not fit|too many queries|no more than/.test(error.message)) {
      return "does not fit";
    }
    throw error;
  } finally {
    scope.close();
    await stream.dispose();
  }
}

const onSimt = describe.skipIf(native.setScratch === undefined);

/** Runs a case with each size of the scratch memory; what fits has the usual results. Says what fits. */
async function outcomes(c: ScratchCase, scratch: readonly (readonly [bytes: number, counters: number])[]) {
  const device = openTestDevice();
  const usual = (await outcome(device, c)) as Float64Array[];
  const fits: boolean[] = [];
  try {
    for (const [bytes, counters] of scratch) {
      native.setScratch!(bytes, counters);
      const results = await outcome(device, c);
      fits.push(typeof results !== "string");
      if (typeof results === "string") continue;
      for (const [i, values] of results.entries()) {
        if (c.reduction === undefined) expect(values).toEqual(usual[i]);
        else expectClose(values, usual[i]!, { dtype: "f32", shape: [values.length], reduction: c.reduction });
      }
    }
  } finally {
    native.setScratch!();
    await device.dispose();
  }
  return fits;
}

onSimt("with little scratch memory", () => {
  test.each(someOf(cases, cases.length / 2))("$name", async (c) => {
    const fits = await outcomes(c, [...sizes.map((size) => [size, 65536] as const), [1 << 22, ownCounters]]);
    expect(fits.at(-1)).toBe(true);
    expect(fits.includes(false)).toBe(c.refuses);
  });
});

const ample = 1 << 24;
const steps = (from: number, count: number, step = 256) =>
  Array.from({ length: count }, (_, i) => from + i * step);

interface EdgeCase extends ScratchCase {
  /** Sizes of the workspace, of an op with counters; those from the smallest on that suffices, if not given. */
  readonly sizes?: readonly number[];
  /** Numbers of counters; 1 to 4 of those with `sizes`, if not given. */
  readonly counters?: readonly number[];
}

type Lengths = readonly [queries: number, keys: number];
/** Many sequences of which as little as can be is split (two spans), before a longer one; none, which need room all the same. */
const split: readonly Lengths[] = [...repeat(12, [1, 150]), [20, 520]];
const none = repeat(24, [0, 0]);
const whole: readonly Lengths[] = [...repeat(40, [1, 20]), [20, 500]];

function repeat(count: number, lengths: Lengths): Lengths[] {
  return new Array<Lengths>(count).fill(lengths);
}

/** Small problems, for sizes about which something ceases to fit. */
const edges: readonly EdgeCase[] = [
  {
    name: "linear, 3 tiles",
    ...{ refuses: false, reduction: 1024, sizes: steps(256, 13) },
    run: (stream, normal) => {
      const packed = packLinear(stream, normal("bf16", [48, 1024]));
      return [linear(stream, normal("bf16", [2, 1024]), packed, { dtype: "f32" })];
    },
  },
  {
    name: "linear, 2 tiles of f32",
    ...{ refuses: false, reduction: 1024, sizes: [1, 2, 3].flatMap((n) => steps(n * 8192 - 256, 2)) },
    run: (stream, normal) => {
      const packed = packLinear(stream, normal("bf16", [80, 1024]));
      return [linear(stream, normal("f32", [2, 1024]), packed)];
    },
  },
  {
    name: "argmax, 4 rows",
    ...{ refuses: false, sizes: steps(256, 3) },
    run: (stream, normal) => [argmax(stream, normal("f32", [4, 9000]))],
  },
  { name: "pagedAttention", refuses: true, run: decode("bf16", [...split, ...none]) },
  ...(["bf16", "f32"] as const).map((dtype) => ({
    name: `pagedAttention, counters of both kinds of tiles, ${dtype}`,
    ...{ refuses: false, sizes: [ample], counters: steps(ownCounters, 9, 1) },
    run: decode(dtype, [...repeat(3, [1, 150] as const), [20, 1060], [18, 1030]]),
  })),
  // Whole tiles when the workspace is small, split ones when it is large.
  ...(["bf16", "f32"] as const).flatMap((dtype) => [
    {
      name: `pagedAttention, groups of spans, ${dtype}`,
      ...{ refuses: true, counters: [0, 3, 6].map((n) => ownCounters + n) },
      run: decode(dtype, [[1, 9000] as const, [20, 8800] as const]),
    },
    {
      name: `pagedAttention, groups of spans in a window, ${dtype}`,
      ...{ refuses: true, counters: [0, 4, 8].map((n) => ownCounters + n) },
      run: decode(dtype, [[1, 9800] as const, [2, 9850] as const], 9000),
    },
  ]),
  ...(["bf16", "f32"] as const).map((dtype) => ({
    name: `pagedAttention, whole tiles, ${dtype}`,
    refuses: true,
    run: decode(dtype, whole),
  })),
];

/** Sequences of these queries and keys, all in the same pages; one head: it hides nothing. */
function decode(dtype: FloatDType, lengths: readonly Lengths[], window?: number): ScratchCase["run"] {
  const [B, Ps] = [lengths.length, 128];
  const Pmax = Math.max(5, ...lengths.map(([, keys]) => Math.ceil(keys / Ps)));
  let end = 0;
  const cuQ = [0, ...lengths.map(([queries]) => (end += queries))];
  return (stream, normal) => {
    const pages = () => normal(dtype, [Pmax, Ps, 1, 16]);
    const table = integers(
      stream,
      [1, Pmax],
      Array.from({ length: Pmax }, (_, page) => (Pmax % 3 ? (3 * page + 2) % Pmax : Pmax - 1 - page)),
    );
    const [rows, starts, keys] = [new Array<number>(B).fill(0), cuQ, lengths.map((each) => each[1])].map(
      (list) => integers(stream, [list.length], list),
    );
    return [
      pagedAttention(stream, normal(dtype, [end, 1, 16]), pages(), pages(), table, rows!, starts!, keys!, {
        ...(window === undefined ? {} : { window }),
      }),
    ];
  };
}

/** The least multiple of 256 bytes that suffices. */
async function smallestWorkspace(c: ScratchCase): Promise<number> {
  await using device = openTestDevice();
  let [tooSmall, suffices] = [0, ample];
  native.runLastBlocks!(1); // what they compute does not matter
  try {
    while (suffices - tooSmall > 256) {
      const middle = Math.ceil((tooSmall + suffices) / 512) * 256;
      native.setScratch!(middle, 65536);
      const fits = (await outcome(device, c)) !== "does not fit";
      [tooSmall, suffices] = fits ? [tooSmall, middle] : [middle, suffices];
    }
  } finally {
    native.setScratch!();
    native.runLastBlocks!(0);
  }
  return suffices;
}

onSimt("at the edges of scratch memory", () => {
  test.each(someOf(edges, edges.length / 2))("$name", async (c) => {
    const workspaces =
      c.sizes ?? steps(await smallestWorkspace(c), c.counters ? 4 : 11, c.counters ? 2048 : 512);
    const counters = c.counters ?? (c.sizes ? steps(1, 4, 1) : []);
    const fits = await outcomes(c, [
      ...workspaces.map((size) => [size, 65536] as const),
      ...counters.map((n) => [ample, n] as const),
    ]);
    expect(fits).not.toContain(false);
  });
});

onSimt("with an item for every block", () => {
  test("attention keeps the sums of a tile's spans, the last block's too", async () => {
    const c: ScratchCase = { name: "", refuses: true, run: decode("bf16", repeat(264, [17, 513])) };
    expect(await smallestWorkspace(c)).toBeLessThan(ample); // there no tile is split; the last block has run
  });
});
