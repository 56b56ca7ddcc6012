/**
 * Contract: no op loses an offset that needs more than 32 bits. Each case runs on tensors whose rows lie close together, and
 * on the same ones with rows beyond 2^31 and 2^32 elements (and so bytes); both have the same bits.
 */
import { expect } from "vitest";
import { add } from "../../lib/ops/add.js";
import { argmax } from "../../lib/ops/argmax.js";
import { cast } from "../../lib/ops/cast.js";
import { causalConv1d } from "../../lib/ops/causalConv1d.js";
import { copy } from "../../lib/ops/copy.js";
import { embedding } from "../../lib/ops/embedding.js";
import { gelu } from "../../lib/ops/gelu.js";
import { geluMul } from "../../lib/ops/geluMul.js";
import { headLinear } from "../../lib/ops/headLinear.js";
import { gatherInputs } from "../../lib/ops/gatherInputs.js";
import { indexerTopK } from "../../lib/ops/indexerTopK.js";
import { kvStore } from "../../lib/ops/kvStore.js";
import { layerNorm } from "../../lib/ops/layerNorm.js";
import { logprobs } from "../../lib/ops/logprobs.js";
import { moeCombine } from "../../lib/ops/moeCombine.js";
import { moeRoute } from "../../lib/ops/moeRoute.js";
import { emptyGroupedWeight, packLinear } from "../../lib/ops/packLinear.js";
import { qkNormRopeStore } from "../../lib/ops/qkNormRopeStore.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { rope } from "../../lib/ops/rope.js";
import { sample, sampleColumns } from "../../lib/ops/sample.js";
import { siluMul } from "../../lib/ops/siluMul.js";
import { clamp } from "../../lib/ops/clamp.js";
import { softcap } from "../../lib/ops/softcap.js";
import { softmax } from "../../lib/ops/softmax.js";
import { ssmScan } from "../../lib/ops/ssmScan.js";
import { stepInputs } from "../../lib/ops/stepInputs.js";
import { tableGather } from "../../lib/ops/tableGather.js";
import { tableScatter } from "../../lib/ops/tableScatter.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { describeOp } from "../support/devices.js";
import { compareFarWithNear, type FarCase } from "../support/farCases.js";
import type { FarTensors } from "../support/farTensors.js";
import { packSampleRows } from "../support/sampleRows.js";

const T = 4;
const D = 40;
const longD = 16400; // more than a kernel keeps in registers: the rest of a row is read again

const rows = (name: string, run: FarCase["run"]): FarCase[] => [
  { name, run },
  { name: `${name}, without vectors`, odd: true, run },
];
const onAxes = (axes: readonly number[], name: string, run: FarCase["run"]): FarCase[] =>
  axes.map((axis) => ({ name: `${name}, axis ${axis}`, axis, run }));

const elementwise: readonly FarCase[] = [
  ...rows("add", (t) => {
    const [a, b] = [t.normal("bf16", [T, D]), t.normal("f32", [T, D])];
    return [add(t.stream, a, b, { out: t.empty("bf16", [T, D]) })];
  }),
  ...rows("cast", (t) => {
    const x = t.normal("f32", [T, D]);
    return [cast(t.stream, x, "bf16", { out: t.empty("bf16", [T, D]) })];
  }),
  ...onAxes([0, 1, 2], "cast of rank 4", (t) => {
    const x = t.normal("bf16", [3, 4, 5, 16]);
    return [cast(t.stream, x, "f32", { out: t.empty("f32", [3, 4, 5, 16]) })];
  }),
  ...onAxes([0, 1, 2], "copy of rank 4", (t) => [
    copy(t.stream, t.normal("bf16", [3, 4, 5, 16]), t.empty("bf16", [3, 4, 5, 16])),
  ]),
  ...rows("copy of f32", (t) => [copy(t.stream, t.normal("f32", [T, D]), t.empty("f32", [T, D]))]),
  ...rows("gelu", (t) => {
    const x = t.normal("bf16", [T, D]);
    return [gelu(t.stream, x, { approximate: "tanh", out: t.empty("f32", [T, D]) })];
  }),
  ...rows("softcap", (t) => {
    const x = t.normal("bf16", [T, D]);
    return [softcap(t.stream, x, { cap: 2, out: t.empty("f32", [T, D]) })];
  }),
  ...rows("clamp", (t) => {
    const x = t.normal("bf16", [T, D]);
    return [clamp(t.stream, x, { limit: 1, out: t.empty("f32", [T, D]) })];
  }),
  ...rows("geluMul", (t) => {
    const x = t.normal("bf16", [T, 2 * D]);
    return [geluMul(t.stream, x, { approximate: "none", out: t.empty("bf16", [T, D]) })];
  }),
  ...rows("siluMul", (t) => [
    siluMul(t.stream, t.normal("bf16", [T, 2 * D]), { out: t.empty("bf16", [T, D]) }),
  ]),
  ...rows("layerNorm", (t) => {
    const [weight, bias] = [t.normal("f32", [D]), t.normal("f32", [D])];
    return [layerNorm(t.stream, t.normal("bf16", [T, D]), weight, bias, { out: t.empty("bf16", [T, D]) })];
  }),
  ...[0, 1].flatMap((axis) =>
    rows(`rmsNorm, axis ${axis}`, (t) => {
      const [x, residual, out] = [
        t.normal("bf16", [3, 4, D]),
        t.normal("f32", [3, 4, D]),
        t.empty("bf16", [3, 4, D]),
      ];
      rmsNorm(t.stream, x, t.normal("f32", [D]), { residual, out });
      return [out, residual];
    }).map((each) => ({ ...each, axis })),
  ),
  ...[true, false].flatMap((withResidual) =>
    rows(`rmsNorm of long rows, residual ${withResidual}`, (t) => {
      const [x, out] = [t.normal("bf16", [2, longD]), t.empty("bf16", [2, longD])];
      const residual = withResidual ? [t.normal("f32", [2, longD])] : [];
      rmsNorm(t.stream, x, t.normal("f32", [longD]), { out, ...(residual[0] && { residual: residual[0] }) });
      return [out, ...residual];
    }),
  ),
  ...rows("layerNorm of long rows", (t) => {
    const [weight, bias] = [t.normal("f32", [longD]), t.normal("f32", [longD])];
    const [x, out] = [t.normal("bf16", [2, longD]), t.empty("bf16", [2, longD])];
    return [layerNorm(t.stream, x, weight, bias, { out })];
  }),
  ...rows("softmax of long rows", (t) => [
    softmax(t.stream, t.normal("bf16", [2, longD]), { out: t.empty("f32", [2, longD]) }),
  ]),
  ...rows("softmax", (t) => [softmax(t.stream, t.normal("bf16", [T, D]), { out: t.empty("f32", [T, D]) })]),
  ...[0, 1].flatMap((axis) =>
    [false, true].map((interleaved) => ({
      name: `rope, axis ${axis}, interleaved ${interleaved}`,
      axis,
      run: (t: FarTensors) => {
        const [q, k, table] = [
          t.normal("bf16", [T, 6, 32]),
          t.normal("bf16", [T, 3, 32]),
          t.normal("f32", [T, 16]),
        ];
        rope(t.stream, q, k, t.integers([T], [2, 0, 3, 1]), table, { interleaved });
        return [q, k];
      },
    })),
  ),
];

const tables: readonly FarCase[] = [
  ...rows("embedding", (t) => {
    const table = t.normal("bf16", [T, D]);
    return [embedding(t.stream, t.integers([T], [1, 3, 2, 0]), table, { out: t.empty("f32", [T, D]) })];
  }),
  ...rows("gatherInputs", (t) => {
    const order = t.integers(
      [2, D],
      Array.from({ length: 2 * D }, (_, i) => (i * 5 + 3) % D),
    );
    const offsets = t.stream.fromArray("i32", [3], Int32Array.of(0, 2, T));
    return [
      gatherInputs(t.stream, t.normal("bf16", [T, D]), order, { offsets, out: t.empty("bf16", [T, D]) }),
    ];
  }),
  ...rows("tableGather", (t) => {
    const table = t.integers(
      [3, 5],
      Array.from({ length: 15 }, (_, i) => i),
    );
    const [row, column] = [t.integers([5], [0, 1, 2, -1, 2]), t.integers([5], [4, 3, 2, 1, 0])];
    return [tableGather(t.stream, table, row, column)];
  }),
  ...onAxes([0, 1], "stepInputs", (t) => {
    const int = (values: readonly number[], shape = [values.length]) =>
      t.stream.fromArray("i32", shape, Int32Array.from(values));
    const count = (length: number) => Array.from({ length }, (_, i) => i + 1);
    const { tokens, slots } = stepInputs(t.stream, 6, {
      ...{ rows: int([2, 1]), starts: int([1, -1]), cuSeqlensQ: int([0, 3, 6]), logitIndices: int([2, 5]) },
      ...{ lengths: int([0, 2, 0, 0]), tokenPool: t.integers([4, 5], count(20)) },
      ...{ pageTables: t.integers([2, 4, 3], count(24)), groups: int([2, 1, 4, 1], [2, 2]) },
    });
    return [tokens, slots];
  }),
  ...[0, 1].flatMap((axis) =>
    ([24, 21] as const).map((channels) => ({
      name: `causalConv1d, axis ${axis}, ${channels} channels`,
      axis,
      run: (t: FarTensors) => {
        const int = (...values: number[]) => t.integers([values.length], values);
        const [x, weight, state] = [
          t.normal("bf16", [6, channels]),
          packed(t, t.normal("f32", [channels, 4])),
          t.normal("bf16", [3, 3, channels]),
        ];
        const step = { cuSeqlensQ: int(0, 1, 6), contextLens: int(9, 8), stateIndices: int(2, 1) };
        const out = t.empty("bf16", [6, channels]);
        return [causalConv1d(t.stream, x, weight, { ...step, state, out }), state];
      },
    })),
  ),
  ...[0, 1, 2].flatMap((axis) =>
    ([24, 21] as const).map((channels) => ({
      name: `ssmScan, axis ${axis}, ${channels} channels`,
      axis,
      run: (t: FarTensors) => {
        const int = (...values: number[]) => t.integers([values.length], values);
        const [x, dt, state] = [
          t.normal("bf16", [6, 2, channels]),
          t.normal("bf16", [6, 2]),
          t.normal("f32", [3, 2, 5, channels]),
        ];
        const [b, c] = [t.normal("bf16", [6, 2, 5]), t.normal("bf16", [6, 2, 5])];
        const a = packed(t, t.normal("f32", [2]));
        const step = { cuSeqlensQ: int(0, 1, 6), contextLens: int(9, 8), stateIndices: int(2, 1) };
        const out = t.empty("bf16", [6, 2, channels]);
        return [ssmScan(t.stream, x, dt, a, b, c, { ...step, state, out }), state];
      },
    })),
  ),
  ...[0, 1].flatMap((axis) =>
    (["bf16", "f32"] as const).map((dtype) => ({
      name: `indexerTopK, axis ${axis}, ${dtype}`,
      axis,
      run: (t: FarTensors) => {
        const int = (values: readonly number[], shape = [values.length]) =>
          t.stream.fromArray("i32", shape, Int32Array.from(values));
        const [q, keys] = [t.normal(dtype, [3, 2, 16]), t.normal(dtype, [3, 4, 16])];
        const weights = packed(t, t.normal("f32", [3, 2]));
        const table = int([2, 0, 1, 1, 2, 0], [2, 3]);
        const [rows, cu, lens] = [int([1, 0]), int([0, 1, 3]), int([11, 9])];
        return [indexerTopK(t.stream, q, weights, keys, table, rows, cu, lens, { topK: 4 })];
      },
    })),
  ),
  ...rows("tableScatter", (t) => {
    const table = t.integers([3, 5], new Int32Array(15));
    const [row, column] = [t.integers([5], [0, 1, 2, -1, 2]), t.integers([5], [4, 3, 2, 1, 0])];
    tableScatter(t.stream, table, row, column, t.integers([5], [7, 8, 9, 10, 11]));
    return [table];
  }),
  ...[0, 1, 2].flatMap((axis) =>
    ([24, 21] as const).map((width) => ({
      name: `kvStore, axis ${axis}, heads of ${width}`,
      axis,
      run: (t: FarTensors) => {
        const shape = [3, 4, 5, width];
        const [k, v] = [t.normal("bf16", [12, 5, width]), t.normal("bf16", [12, 5, width])];
        const zero = (count: number) => new Uint16Array(count);
        const pages = [t.fill(t.empty("bf16", shape), zero), t.fill(t.empty("bf16", shape), zero)] as const;
        kvStore(t.stream, k, v, ...pages, t.integers([12], [11, 4, 0, 9, -1, 7, 2, 3, 10, 5, 8, 1]));
        return [...pages];
      },
    })),
  ),
  ...[0, 1].flatMap((axis) =>
    ([32, 21] as const).map((width) => ({
      name: `qkNormRopeStore, axis ${axis}, heads of ${width}`,
      axis,
      run: (t: FarTensors) => {
        const [q, k, v] = [
          t.normal("bf16", [4, 6, width]),
          t.normal("bf16", [4, 5, width]),
          t.normal("bf16", [4, 5, width]),
        ];
        const zero = (count: number) => new Uint16Array(count);
        const shape = [3, 4, 5, width];
        const pages = [t.fill(t.empty("bf16", shape), zero), t.fill(t.empty("bf16", shape), zero)] as const;
        qkNormRopeStore(t.stream, q, k, v, {
          ...{ positions: t.integers([4], [2, 0, 3, 1]), table: t.normal("f32", [4, 16]) },
          ...{ kPages: pages[0], vPages: pages[1], slots: t.integers([4], [11, 4, -1, 9]) },
          kWeight: packed(t, t.normal("f32", [width])),
        });
        return [q, ...pages];
      },
    })),
  ),
  ...rows("packLinear", (t) => {
    const weight = t.normal("bf16", [20, D]);
    return [t.own(packLinear(t.stream, weight).segments[0]!.data)];
  }),
  ...rows("packLinear, transposed", (t) => {
    const weight = t.normal("f16", [D, 20]);
    return [t.own(packLinear(t.stream, weight, { transpose: true }).segments[0]!.data)];
  }),
];

const logits: readonly FarCase[] = [
  ...[100, 5000].flatMap((V) => [
    ...rows(`argmax of ${V}`, (t) => [argmax(t.stream, t.normal("bf16", [T, V]))]),
    ...rows(`logprobs of ${V}`, (t) => {
      const { chosen, topIds, topValues } = logprobs(
        t.stream,
        t.normal("bf16", [T, V]),
        t.integers([T], [1, 2, 3, 4]),
        {
          topN: 3,
        },
      );
      return [chosen, topIds, topValues];
    }),
    ...rows(`sample of ${V}`, (t) => [sampleRows(t, V)]),
  ]),
  ...rows("moeRoute", (t) => {
    const { weights, experts } = moeRoute(t.stream, t.normal("bf16", [T, 24]), {
      topK: 3,
      scores: "softmax",
      renormalize: true,
    });
    return [weights, experts];
  }),
  ...rows("moeCombine", (t) => {
    const y = t.normal("bf16", [2 * T, D]);
    const [inverse, weights] = [
      t.integers([T, 2], [7, 0, 6, 1, 5, 2, 4, 3]),
      t.normal("f32", [2 * T]).reshape([T, 2]),
    ];
    return [
      moeCombine(t.stream, y, packed(t, inverse), weights, {
        residual: t.normal("f32", [T, D]),
        out: t.empty("bf16", [T, D]),
      }),
    ];
  }),
];

/** What must be contiguous. */
function packed(t: FarTensors, tensor: Tensor): Tensor {
  return copy(t.stream, tensor, t.own(t.device.empty(tensor.dtype, tensor.shape)));
}

/** Penalties, a mask, top-k: everything that addresses rows. */
function sampleRows(t: FarTensors, V: number): Tensor {
  const { floats, ints, positions } = packSampleRows(
    Array.from({ length: T }, (_, b) => ({
      temperature: b % 2,
      repetition: 1.3,
      presence: -30, // the tokens of the pool decide
      topK: 20,
      seed: [b, 5],
      position: 6,
      poolRow: T - 1 - b,
      promptLength: 2,
    })),
  );
  const words = Math.ceil(V / 32);
  const own = (tensor: Tensor) => t.own(tensor);
  return sample(t.stream, t.normal("f32", [T, V]), {
    floats: own(t.stream.fromArray("f32", [T, 6], Float32Array.from(floats))),
    ints: own(t.stream.fromArray("i32", [T, sampleColumns.ints.length], ints)),
    positions: own(t.stream.fromArray("i32", [T], positions)),
    tokenPool: t.integers(
      [T, 8],
      Array.from({ length: 8 * T }, (_, i) => (i * 37) % V),
    ),
    bitmask: t.integers(
      [T, words],
      Array.from({ length: T * words }, () => t.random.integer(-(2 ** 31), 2 ** 31)),
    ),
  });
}

// --- heads: tokens and heads of x and out

const runHeads =
  (dtype: "bf16" | "f32", count: number, out: "bf16" | "f32" = dtype): FarCase["run"] =>
  (t) => {
    const [H, N, K] = [3, 72, 64];
    const shape = { experts: H, outputs: N, inputs: K, dtype, swiglu: false };
    const weight = emptyGroupedWeight(t.stream, shape);
    t.fill(t.own(weight.segments[0]!.data), (numbers) =>
      dtype === "f32"
        ? Float32Array.from({ length: numbers }, () => t.random.integer(-3, 4))
        : Uint16Array.from({ length: numbers }, () => [0x3f80, 0xbf80, 0x4000][t.random.integer(0, 3)]!),
    );
    const x = t.normal(dtype, [count, H, K]);
    return [headLinear(t.stream, x, weight, { out: t.empty(out, [count, H, N]) })];
  };

const heads: readonly FarCase[] = [
  ...[2, 20].flatMap((count) => onAxes([0, 1], `headLinear, ${count} rows`, runHeads("bf16", count))),
  ...onAxes([0, 1], "headLinear, results of f32", runHeads("bf16", 20, "f32")),
  ...onAxes([0, 1], "headLinear, f32", runHeads("f32", 20)),
  { name: "headLinear, rows that are not aligned", odd: true, run: runHeads("bf16", 20) },
];

describeOp("far offsets", [...elementwise, ...tables, ...logits, ...heads], async (context, c) => {
  const { far, near } = await compareFarWithNear(context, c);
  expect(far).toEqual(near);
});
