/**
 * Contract: no matrix product or attention kernel loses an offset that needs more than 32 bits: as farOffsets.test.ts, once
 * per kernel; and with weights and scratch that have to be contiguous and have more than 2^32 elements.
 */
import { expect } from "vitest";
import { native } from "../../lib/device/native.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { linear } from "../../lib/ops/linear.js";
import { LinearWeight, WeightSegment } from "../../lib/ops/linearWeight.js";
import { emptyGroupedWeight, type GroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { sample } from "../../lib/ops/sample.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { describeOp, type OpCase, type OpContext, withEnvironment } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { compareFarWithNear, type FarCase } from "../support/farCases.js";
import type { FarTensors } from "../support/farTensors.js";
import { packSampleRows } from "../support/sampleRows.js";
import { hopperProducts, portableProducts } from "../support/kernelTiles.js";

const portable = { WARPLOOP_KERNEL: "*:portable" };
const tile = (name: string) => ({ WARPLOOP_KERNEL: `linear:${name}` });

// --- linear, groupedLinear: rows of x, residual, out

const runLinear =
  (dtype: FloatDType, weight: FloatDType, T: number, out = dtype, residualAligned = true): FarCase["run"] =>
  (t) => {
    const [N, K] = [72, 64];
    const packed = packLinear(t.stream, t.own(t.device.empty(weight, [N, K])));
    t.fill(t.own(packed.segments[0]!.data), (count) => values(t, weight, count));
    const x = t.normal(dtype, [T, K]);
    const residual = residualAligned
      ? t.normal("f32", [T, N])
      : t.normal("f32", [T, N + 1]).slice(1, 1, N + 1);
    return [linear(t.stream, x, packed, { residual, out: t.empty(out, [T, N]) })];
  };

const values = (t: FarTensors, dtype: FloatDType, count: number) =>
  dtype === "f32"
    ? Float32Array.from({ length: count }, () => t.random.integer(-3, 4))
    : Uint16Array.from({ length: count }, () => [0x3f80, 0xbf80, 0x4000][t.random.integer(0, 3)]!);

const products: readonly FarCase[] = [
  ...[...portableProducts, ...hopperProducts].map(({ name }) => ({
    name: `linear, tile ${name}`,
    environment: tile(name),
    run: runLinear("bf16", "bf16", 20),
  })),
  ...["8x16", "64x64", "h64x128"].map((name) => ({
    name: `linear, tile ${name}, results of f32`,
    environment: tile(name),
    run: runLinear("bf16", "bf16", 20, "f32"),
  })),
  {
    name: "linear, tile h64x128, residual not aligned",
    environment: tile("h64x128"),
    run: runLinear("bf16", "bf16", 20, "bf16", false),
  },
  { name: "linear, rows that are not aligned", odd: true, run: runLinear("bf16", "bf16", 20) },
  ...[3, 20].map((T) => ({ name: `linear, ${T} rows of f32`, run: runLinear("f32", "bf16", T) })),
  { name: "linear, f32 with f32", run: runLinear("f32", "f32", 5) },
  ...[2, 30, 160].flatMap((M) =>
    [portable, {}].flatMap((environment) => [
      { name: `groupedLinear, ${M} rows`, environment, run: runGrouped("bf16", M, false) },
      { name: `groupedLinear, swiglu, ${M} rows`, environment, run: runGrouped("bf16", M, true) },
    ]),
  ),
  ...[2, 160].map((M) => ({
    name: `groupedLinear, ${M} rows, results of f32`,
    run: runGrouped("bf16", M, false, "f32"),
  })),
  { name: "groupedLinear, rows that are not aligned", odd: true, run: runGrouped("bf16", 30, false) },
  { name: "groupedLinear, f32", run: runGrouped("f32", 30, false) },
];

/** With swiglu there are biases, too. */
function runGrouped(dtype: FloatDType, M: number, swiglu: boolean, out = dtype): FarCase["run"] {
  return (t) => {
    const [N, K] = [64, 64];
    const weight = emptyGroupedWeight(t.stream, { experts: 2, outputs: N, inputs: K, dtype, swiglu });
    t.fill(t.own(weight.segments[0]!.data), (count) => values(t, dtype, count));
    const order = t.stream.fromArray("i32", [M], t.random.permutation(M));
    const x = t.normal(dtype, [M, K]);
    const offsets = t.integers([3], [0, M >> 1, M]);
    const bias = swiglu ? t.normal("f32", [2, N]) : undefined;
    return [
      groupedLinear(t.stream, x, weight, offsets, {
        ...{ order, bias, out: t.empty(out, [M, swiglu ? N / 2 : N]) },
      }),
    ];
  };
}

// --- attention: q, keys, values, pages, the page table, out, lse

const runFlash =
  (dtype: FloatDType, Dh = 64): FarCase["run"] =>
  (t) => {
    const [L, S, Hq, Hkv] = [40, 70, 6, 3];
    const [q, k, v] = [
      t.normal(dtype, [L, Hq, Dh]),
      t.normal(dtype, [S, Hkv, Dh]),
      t.normal(dtype, [S, Hkv, Dh]),
    ];
    const lse = t.empty("f32", [L, Hq]);
    return [flashAttention(t.stream, q, k, v, { lse, out: t.empty(dtype, [L, Hq, Dh]) }), lse];
  };

const runPaged =
  (dtype: FloatDType, lengths: readonly (readonly [number, number])[], Hq = 6): FarCase["run"] =>
  (t) => {
    const [P, Ps, Hkv, Dh, Pmax] = [9, 8, 3, 64, 5];
    const total = lengths.reduce((sum, [queries]) => sum + queries, 0);
    const pages = () => t.normal(dtype, [P, Ps, Hkv, Dh]);
    const table = t.integers(
      [4, Pmax],
      Array.from({ length: 4 * Pmax }, (_, i) => (i * 7 + 3) % P),
    );
    let end = 0;
    const starts = [0, ...lengths.map(([queries]) => (end += queries))];
    return [
      pagedAttention(
        t.stream,
        ...([t.normal(dtype, [total, Hq, Dh]), pages(), pages(), table] as const),
        t.integers([lengths.length], [3, 1, 2].slice(0, lengths.length)),
        t.integers([starts.length], starts),
        t.integers(
          [lengths.length],
          lengths.map(([, context]) => context),
        ),
        { out: t.empty(dtype, [total, Hq, Dh]) },
      ),
    ];
  };

const gpuOnly = { skip: { cpu: "no block shares the keys of a row" } };
/** Sequences long enough that several blocks share their keys. */
const runSplit =
  (dtype: FloatDType): FarCase["run"] =>
  (t) => {
    const [lengths, Hq, Hkv, Dh] = [[1, 30], 4, 2, 16];
    const S = 1100;
    const k = t.normal(dtype, [2 * S, Hkv, Dh]);
    const v = t.normal(dtype, [2 * S, Hkv, Dh]);
    const T = lengths[0]! + lengths[1]!;
    const lse = t.empty("f32", [T, Hq]);
    const out = t.empty(dtype, [T, Hq, Dh]);
    const cuSeqlensQ = t.integers([3], [0, lengths[0]!, T]);
    const cuSeqlensK = t.integers([3], [0, S, 2 * S]);
    return [
      flashAttention(t.stream, t.normal(dtype, [T, Hq, Dh]), k, v, { lse, out, cuSeqlensQ, cuSeqlensK }),
      lse,
    ];
  };

/** V with a NaN in the last token, which only the last query sees: the rows of the others are computed by other ways. */
const hidden = (
  t: FarTensors,
  dtype: FloatDType,
  shape: readonly number[],
  isLast: (row: number) => boolean,
) => {
  let row = 0;
  return t.fill(t.empty(dtype, shape), (count) => {
    const values = t.random.normal(count, { dtype });
    if (isLast(row++)) values.fill(NaN, 0, 3);
    return toStorage(dtype, values);
  });
};

const runHiddenFlash =
  (dtype: FloatDType, L: number, S: number, before = 0): FarCase["run"] =>
  (t) => {
    const [Hq, Hkv, Dh] = [6, 3, 64];
    const all = before + S;
    const v = hidden(t, dtype, [all, Hkv, Dh], (row) => row >= (all - 1) * Hkv);
    const [q, k] = [t.normal(dtype, [L, Hq, Dh]), t.normal(dtype, [all, Hkv, Dh])];
    const [cuSeqlensQ, cuSeqlensK] = [t.integers([2], [0, L]), t.integers([2], [before, all])];
    return [flashAttention(t.stream, q, k, v, { cuSeqlensQ, cuSeqlensK, out: t.empty(dtype, [L, Hq, Dh]) })];
  };

const runHiddenPaged =
  (dtype: FloatDType, L: number): FarCase["run"] =>
  (t) => {
    const [P, Ps, Hq, Hkv, Dh] = [5, 8, 6, 3, 64];
    const table = t.integers([2, P], [-1, -1, -1, -1, -1, 3, 1, 0, 2, 4]);
    const isLast = (row: number) => row >= (P * Ps - 1) * Hkv; // of page 4, the last one
    const v = hidden(t, dtype, [P, Ps, Hkv, Dh], isLast);
    const [q, k] = [t.normal(dtype, [L, Hq, Dh]), t.normal(dtype, [P, Ps, Hkv, Dh])];
    const [row, starts, length] = [[1], [0, L], [P * Ps]].map((values) =>
      t.integers([values.length], values),
    );
    return [
      pagedAttention(t.stream, q, k, v, table, row!, starts!, length!, { out: t.empty(dtype, [L, Hq, Dh]) }),
    ];
  };

const attention: readonly FarCase[] = [
  ...[0, 1].flatMap((axis) => [
    { name: "flashAttention, spans, f32", axis, ...gpuOnly, run: runSplit("f32") },
    { name: "flashAttention, spans", axis, ...gpuOnly, environment: portable, run: runSplit("bf16") },
    { name: "flashAttention, hidden NaN", axis, run: runHiddenFlash("bf16", 40, 70) },
    { name: "flashAttention, hidden NaN, last keys", axis, run: runHiddenFlash("bf16", 40, 70, 80) },
    ...[2, 40].map((L) => ({
      name: `flashAttention, portable, hidden NaN, ${L} queries`,
      axis,
      environment: portable,
      run: runHiddenFlash("bf16", L, 70),
    })),
  ]),
  ...[0, 1, 2].flatMap((axis) =>
    [2, 40].flatMap((L) =>
      [{}, portable].map((environment) => ({
        name: `pagedAttention, hidden NaN, ${L} queries${environment === portable ? ", portable" : ""}`,
        axis,
        environment,
        run: runHiddenPaged("bf16", L),
      })),
    ),
  ),
  ...[0, 1].flatMap((axis) => [
    { name: "flashAttention", axis, run: runFlash("bf16") },
    { name: "flashAttention, portable", axis, environment: portable, run: runFlash("bf16") },
    { name: "flashAttention, f32", axis, run: runFlash("f32", 16) },
  ]),
  ...[0, 1, 2].flatMap((axis) =>
    (["bf16", "f32"] as const).flatMap((dtype) => [
      {
        name: `pagedAttention, decode, ${dtype}`,
        axis,
        run: runPaged(dtype, [
          [1, 40],
          [2, 17],
        ]),
      },
      { name: `pagedAttention, prompt, ${dtype}`, axis, run: runPaged(dtype, [[40, 40]]) },
    ]),
  ),
  ...[0, 1, 2].flatMap((axis) => [
    { name: "pagedAttention, tiles", axis, environment: portable, run: runPaged("bf16", [[40, 40]]) },
    { name: "pagedAttention, prompt, a group of 3", axis, run: runPaged("bf16", [[40, 40]], 9) },
  ]),
];

describeOp("far offsets", [...products, ...attention], async (context, c) => {
  const { far, near } = await compareFarWithNear(context, c);
  expect(far).toEqual(near);
});

// --- what has to be contiguous

const twoTo32 = 2 ** 32;

/** Small whole numbers, cheap to make by the million. */
function pattern(dtype: FloatDType, length: number, salt: number): Float32Array | Uint16Array {
  const bits = [0xc000, 0xbf80, 0, 0x3f80, 0x4000];
  const at = (i: number) => (i * 7 + (i >> 10) + salt) % 5;
  if (dtype === "f32") return Float32Array.from({ length }, (_, i) => at(i) - 2);
  return Uint16Array.from({ length }, (_, i) => bits[at(i)]!);
}

interface ExpertCase extends OpCase {
  readonly dtype: FloatDType;
  readonly portable?: boolean;
}

describeOp<ExpertCase>(
  "far offsets: groupedLinear, more than 2^32 weights",
  [
    { name: "tensor cores", dtype: "bf16", portable: true },
    { name: "the kernel for the device", dtype: "bf16" },
    { name: "f32", dtype: "f32" },
  ],
  async ({ device }, { dtype, ...c }) => {
    const stream = withEnvironment(c.portable ? portable : {}, () => device.createStream());
    const [outputs, inputs] = [1024, 1024];
    const experts = twoTo32 / (outputs * inputs) + 3;
    const used = [1, experts >> 1, experts - 1];
    const [far, near] = [experts, used.length].map((count) =>
      emptyGroupedWeight(stream, { experts: count, outputs, inputs, dtype, swiglu: false }),
    ) as [GroupedWeight, GroupedWeight];
    for (const [i, expert] of used.entries()) {
      const weight = stream.fromArray(dtype, [outputs, inputs], pattern(dtype, outputs * inputs, i));
      packExpert(stream, far, expert, weight);
      packExpert(stream, near, i, weight);
    }
    const x = stream.fromArray(dtype, [3, inputs], pattern(dtype, 3 * inputs, 4));
    const offsets = Int32Array.from({ length: experts + 1 }, (_, e) => used.filter((u) => u < e).length);
    const options = { dtype: "f32" } as const;
    const results = await Promise.all(
      [
        groupedLinear(stream, x, far, stream.fromArray("i32", [experts + 1], offsets), options),
        groupedLinear(stream, x, near, stream.fromArray("i32", [4], Int32Array.of(0, 1, 2, 3)), options),
      ].map((out) => out.read(stream)),
    );
    expect(results[0]).toEqual(results[1]);
    for (const weight of [far, near]) weight.dispose();
    await stream.dispose();
  },
);

describeOp<OpCase & { readonly dtype: FloatDType; readonly tile?: string }>(
  "far offsets: linear, more than 2^32 weights",
  [
    ...["8x16", "8x64", "16x64", "64x64", "128x128"].map(
      (tile) =>
        ({
          name: "the last columns",
          dtype: "bf16",
          tile,
          skip: { cpu: "it has no tiles", cuda: "it has no tiles of that many columns" },
        }) as const,
    ),
    { name: "the last columns, f32", dtype: "f32", skip: { cpu: "takes 20 s" } },
    { name: "the last columns", dtype: "bf16" },
  ],
  async ({ device }, { dtype, ...c }) => {
    // The grids of Hopper kernels do not have a block per tile.
    const stream = withEnvironment({ ...portable, ...(c.tile && tile(c.tile)) }, () => device.createStream());
    const [block, inputs, T] = [128, 2048, 2];
    const blocks = twoTo32 / (block * inputs) + 1;
    const shape = { outputs: block, inputs, dtype, swiglu: false };
    const [far, near] = [blocks, 1].map((count) =>
      emptyGroupedWeight(stream, { ...shape, experts: count }),
    ) as [GroupedWeight, GroupedWeight];
    const weight = stream.fromArray(dtype, [block, inputs], pattern(dtype, block * inputs, 0));
    packExpert(stream, far, blocks - 1, weight);
    packExpert(stream, near, 0, weight);
    const x = stream.fromArray(dtype, [T, inputs], pattern(dtype, T * inputs, 1));
    const run = (group: GroupedWeight) => {
      const outputs = group.experts * block;
      const { data, ...segment } = group.segments[0]!; // full panels: the experts as one matrix
      const whole = new WeightSegment({ ...segment, outputs }, data.reshape([1, outputs, inputs]));
      const product = linear(stream, x, new LinearWeight({ inputs, swiglu: false }, [whole]), {
        dtype: "f32",
      });
      return product.slice(1, outputs - block, outputs);
    };
    const expected = await rowsOf(stream, run(near));
    await stream.synchronize();
    native.runLastBlocks?.(8);
    try {
      expect(await rowsOf(stream, run(far))).toEqual(expected);
    } finally {
      native.runLastBlocks?.(0);
    }
    for (const weight of [far, near]) weight.dispose();
    await stream.dispose();
  },
);

async function rowsOf(stream: OpContext["stream"], tensor: Tensor) {
  const rows = Array.from({ length: tensor.size(0) }, (_, t) => tensor.slice(0, t, t + 1).reshape([-1]));
  return Promise.all(rows.map((row) => row.read(stream)));
}

describeOp(
  "far offsets: sample, more than 2^32 logits",
  [2 ** 31 * 1.5, twoTo32].map((logits) => ({
    name: "the last row",
    logits, // 32 bits with a sign make the first negative and wrap around for the second
    skip: { cpu: "reads all of them", cuda: "needs 60 GiB" },
  })),
  async ({ device, stream }, { logits: count }) => {
    const V = 2 ** 16;
    const B = count / V + 2;
    const row = { temperature: 0.7, topK: 5, poolRow: 0, position: 3, repetition: 1.5, presence: 1 };
    const logits = device.empty("bf16", [B, V]);
    const last = Uint16Array.from({ length: V }, (_, v) => 0x3f80 + ((v * 40503) % 97));
    logits
      .slice(0, B - 1, B)
      .reshape([V])
      .write(stream, last);
    const choose = (x: Tensor, rows: number) => {
      const { floats, ints, positions } = packSampleRows(new Array(rows).fill(row));
      return sample(stream, x, {
        floats: stream.fromArray("f32", [rows, 6], Float32Array.from(floats)),
        ints: stream.fromArray("i32", [rows, ints.length / rows], ints),
        positions: stream.fromArray("i32", [rows], positions),
        tokenPool: stream.fromArray("i32", [1, 3], Int32Array.of(11, 5, V - 1)),
      });
    };
    const expected = await choose(stream.fromArray("bf16", [1, V], last), 1).read(stream);
    native.runLastBlocks?.(16);
    try {
      const out = await choose(logits, B).read(stream);
      expect(out[B - 1]).toBe(expected[0]);
    } finally {
      native.runLastBlocks?.(0);
    }
    logits.dispose();
  },
);
