// Contract: the float64 references of the dense ops mean what their papers say. Each is checked where a closed form,
// an identity or a known value exists, never against another implementation of the same loop.
import { describe, expect, test } from "vitest";
import { ropeTable } from "../lib/nn/ropeTable.js";
import { attentionPlan } from "./reference/attentionPlan.js";
import { argmax } from "./reference/argmax.js";
import { causalConv1d } from "./reference/causalConv1d.js";
import { embedding } from "./reference/embedding.js";
import { erfc } from "./reference/erfc.js";
import { gatherInputs } from "./reference/gatherInputs.js";
import { gelu } from "./reference/gelu.js";
import { geluMul } from "./reference/geluMul.js";
import { indexerTopK } from "./reference/indexerTopK.js";
import { layerNorm } from "./reference/layerNorm.js";
import { linear } from "./reference/linear.js";
import { logprobs } from "./reference/logprobs.js";
import { rmsNorm } from "./reference/rmsNorm.js";
import { rope } from "./reference/rope.js";
import { siluMul } from "./reference/siluMul.js";
import { ssmScan } from "./reference/ssmScan.js";
import { stepInputs } from "./reference/stepInputs.js";
import { tableGather } from "./reference/tableGather.js";
import { tableScatter } from "./reference/tableScatter.js";
import { f64, i32 } from "./support/arrays.js";
import { expectNear } from "./support/compare.js";
import { Random } from "./support/random.js";

const random = new Random(7);

describe("linear and embedding", () => {
  test("the identity weight returns x plus bias plus residual", () => {
    const x = random.normal(6);
    const identity = f64(1, 0, 0, 0, 1, 0, 0, 0, 1);
    const bias = f64(10, 20, 30);
    const expected = x.map((value, i) => value + bias[i % 3]! + 5);
    expectNear(
      linear(x, identity, { T: 2, N: 3, K: 3 }, { bias, residual: new Float64Array(6).fill(5) }),
      expected,
    );
  });

  test("a known product with a weight that is not square", () => {
    expect(linear(f64(1, 2, 3), f64(4, 5, 6, 7, 8, 9), { T: 1, N: 2, K: 3 })).toEqual(f64(32, 50));
    expect(linear(f64(), f64(), { T: 1, N: 2, K: 0 })).toEqual(f64(0, 0));
  });

  test("embedding equals a one-hot product; an id outside the table fails", () => {
    const table = f64(1, 2, 3, 4, 5, 6);
    expect(embedding(i32(2, 0), table, { V: 3, D: 2 })).toEqual(f64(5, 6, 1, 2));
    expect(() => embedding(i32(3), table, { V: 3, D: 2 })).toThrow(RangeError);
    expect(() => embedding(i32(-1), table, { V: 3, D: 2 })).toThrow(RangeError);
  });
});

describe("norms", () => {
  const D = 64;
  const x = random.normal(3 * D, { std: 5 });
  const ones = new Float64Array(D).fill(1);

  test("rmsNorm rows have mean square one, whatever the scale of x", () => {
    const { out } = rmsNorm(x, ones, { T: 3, D }, { eps: 0 });
    for (let t = 0; t < 3; t++) {
      expect(out.subarray(t * D, (t + 1) * D).reduce((sum, value) => sum + value * value, 0) / D).toBeCloseTo(
        1,
        12,
      );
    }
    expectNear(
      rmsNorm(
        x.map((value) => value * 1e30),
        ones,
        { T: 3, D },
        { eps: 0 },
      ).out,
      out,
    );
  });

  test("rmsNorm: residual is added first and returned; the offset adds to the weight; zero rows stay zero", () => {
    const residual = random.normal(3 * D);
    const sum = x.map((value, i) => value + residual[i]!);
    const fused = rmsNorm(x, ones, { T: 3, D }, { residual });
    expectNear(fused.residual, sum);
    expectNear(fused.out, rmsNorm(sum, ones, { T: 3, D }).out);
    expectNear(
      rmsNorm(x, new Float64Array(D), { T: 3, D }, { weightOffset: 1 }).out,
      rmsNorm(x, ones, { T: 3, D }).out,
    );
    expect(rmsNorm(new Float64Array(D), ones, { T: 1, D }).out).toEqual(new Float64Array(D));
  });

  test("layerNorm rows have mean of the bias and variance one; a shift of x changes nothing", () => {
    const bias = new Float64Array(D).fill(3);
    const out = layerNorm(x, ones, bias, { T: 3, D }, { eps: 0 });
    const row = out.subarray(D, 2 * D);
    expect(row.reduce((a, b) => a + b) / D).toBeCloseTo(3, 12);
    expect(row.reduce((sum, value) => sum + (value - 3) ** 2, 0) / D).toBeCloseTo(1, 12);
    expectNear(
      layerNorm(
        x.map((value) => value + 100),
        ones,
        bias,
        { T: 3, D },
        { eps: 0 },
      ),
      out,
      1e-12,
    );
  });
});

describe("activations", () => {
  test.each([
    // Values of erfc to 20 digits from DLMF 7.23 and Abramowitz and Stegun table 7.1.
    { x: 0, value: 1 },
    { x: 0.5, value: 0.47950012218695346232 },
    { x: 1, value: 0.15729920705028513066 },
    { x: 2, value: 0.0046777349810472658379 },
    { x: -1, value: 1.8427007929497148693 },
    { x: 3, value: 2.2090496998585441373e-5 },
    { x: 5, value: 1.5374597944280348502e-12 },
  ])("erfc($x)", ({ x, value }) => {
    expect(Math.abs(erfc(x) - value)).toBeLessThan(1e-15 * Math.max(1, value));
    if (x >= 2) expect(Math.abs(erfc(x) / value - 1)).toBeLessThan(1e-14);
  });

  test("erfc is continuous where the series meets the continued fraction, and total", () => {
    // The derivative is -2/sqrt(pi) exp(-4) = -0.02; the step of 2e-9 moves erfc by 4.1e-11.
    expect(erfc(2 - 1e-9) - erfc(2 + 1e-9)).toBeCloseTo((2e-9 * 2 * Math.exp(-4)) / Math.sqrt(Math.PI), 15);
    expect([erfc(40), erfc(-40), erfc(NaN), erfc(Infinity), erfc(-Infinity)]).toEqual([0, 2, NaN, 0, 2]);
  });

  test("gelu: gelu(1) = Phi(1); gelu(x) - gelu(-x) = x; both forms are close", () => {
    expect(gelu(f64(1), { approximate: "none" })[0]).toBeCloseTo(0.8413447460685429, 15);
    expect(gelu(f64(1), { approximate: "tanh" })[0]).toBeCloseTo(0.8411919906082768, 15);
    const x = random.normal(200, { std: 3 });
    for (const approximate of ["none", "tanh"] as const) {
      const odd = gelu(x, { approximate }).map((value, i) => value - gelu(f64(-x[i]!), { approximate })[0]!);
      expectNear(odd, x);
    }
    expectNear(gelu(x, { approximate: "tanh" }), gelu(x, { approximate: "none" }), 1e-3);
    expect(gelu(f64(-30), { approximate: "none" })[0]).toBeLessThan(0); // the tail is tiny, not cancelled to zero
  });

  test("gates: a huge gate passes up through, a hugely negative one closes, silu(0) = 0", () => {
    const x = f64(800, -800, 0, 3, 4, 5);
    expect(siluMul(x, { T: 1, F: 3 })).toEqual(f64(2400, -0, 0));
    expectNear(geluMul(x, { T: 1, F: 3 }, { approximate: "tanh" }), [2400, 0, 0]);
    expect(siluMul(f64(1, 1), { T: 1, F: 1 })[0]).toBeCloseTo(0.7310585786300049, 15);
  });
});

describe("rope", () => {
  const R = 16;
  const shape = { T: 4, H: 2, Dh: 24, R };
  const table = Float64Array.from(
    ropeTable({ rotaryDim: R, theta: 100, maxLength: 64, maxPositionEmbeddings: 64 }).table,
  );
  const x = random.normal(shape.T * shape.H * shape.Dh);
  const norm = (values: Float64Array) => Math.hypot(...values);

  test.each([{ interleaved: false }, { interleaved: true }])(
    "%o preserves norms, passes dimensions >= R, is 1 at 0",
    (options) => {
      const out = rope(x, i32(0, 5, 17, 63), table, shape, options);
      for (let head = 0; head < 8; head++) {
        const range = [head * 24, head * 24 + 24] as const;
        expect(norm(out.subarray(...range))).toBeCloseTo(norm(x.subarray(...range)), 6);
        expect(out.subarray(range[0] + R, range[1])).toEqual(x.subarray(range[0] + R, range[1]));
      }
      expect(out.subarray(0, 48)).toEqual(x.subarray(0, 48));
    },
  );

  test.each([{ interleaved: false }, { interleaved: true }])(
    "%o: the product of q and k depends on the distance only",
    (options) => {
      const one = { T: 1, H: 1, Dh: R, R };
      const [q, k] = [random.normal(R), random.normal(R)];
      const product = (i: number, j: number) => {
        const rotated = rope(k, i32(j), table, one, options);
        return rope(q, i32(i), table, one, options).reduce((sum, value, d) => sum + value * rotated[d]!, 0);
      };
      expect(product(30, 13)).toBeCloseTo(product(47, 30), 5);
      expect(Math.abs(product(30, 13) - product(30, 14))).toBeGreaterThan(1e-3);
    },
  );

  test("a quarter turn maps (1, 0) to (0, 1); the two layouts pair different dimensions", () => {
    const quarter = f64(0, 0, 1, 1); // R = 4: cos = 0, sin = 1 for both pairs
    const one = { T: 1, H: 1, Dh: 4, R: 4 };
    expect(rope(f64(1, 2, 3, 4), i32(0), quarter, one)).toEqual(f64(-3, -4, 1, 2));
    expect(rope(f64(1, 2, 3, 4), i32(0), quarter, one, { interleaved: true })).toEqual(f64(-2, 1, -4, 3));
  });
});

describe("causalConv1d", () => {
  const sizes = { D: 1, W: 3 };
  const weight = f64(100, 10, 1);

  test("the newest input has the last tap; what came before comes from the state, or is zero", () => {
    const step = { cuSeqlensQ: [0, 2, 3, 4], contextLens: [2, 6, 9], stateIndices: [1, 0, -1] };
    const { out, state } = causalConv1d(f64(1, 2, 3, 4), weight, sizes, {
      ...step,
      state: f64(5, 6, NaN, NaN),
    });
    expect(out).toEqual(f64(1, 12, 563, 4));
    expect(state).toEqual(f64(6, 3, 1, 2));
  });

  test("a sequence without tokens keeps its state; bias and silu", () => {
    const step = { cuSeqlensQ: [0, 0, 1], contextLens: [4, 1], stateIndices: [0, 1] };
    const options = { ...step, state: f64(5, 6, 7, 8), bias: f64(2), silu: true };
    const { out, state } = causalConv1d(f64(-2), weight, sizes, options);
    expect(out).toEqual(f64(0));
    expect(state).toEqual(f64(5, 6, 0, -2));
    expectNear(causalConv1d(f64(0), weight, sizes, options).out, [2 / (1 + Math.exp(-2))]);
  });
});

describe("ssmScan", () => {
  const sizes = { H: 1, P: 1, G: 1, N: 2 };
  const [half, ones] = [f64(Math.log(0.5)), f64(1, 1, 1, 1)];
  const dt = f64(Math.log(Math.E - 1), Math.log(Math.E - 1)); // softplus: 1

  test("a step of 1 halves the state and adds b x; c reads it; the state goes on from where it was", () => {
    const step = { cuSeqlensQ: [0, 1, 2], contextLens: [1, 5], stateIndices: [1, 0] };
    const state = f64(4, 8, NaN, NaN);
    const { out, state: kept } = ssmScan(f64(3, 5), dt, half, ones, f64(1, 10, 1, 10), sizes, {
      ...{ ...step, state },
    });
    expectNear(kept, [7, 9, 3, 3]);
    expectNear(out, [33, 97]);
  });

  test("skip, bias, limits; padding keeps nothing", () => {
    const step = { cuSeqlensQ: [0, 2], contextLens: [9], stateIndices: [-1], state: f64(4, 8) };
    const options = { ...step, skip: f64(100), dtBias: f64(-1000), dtMin: 1, dtMax: 1 };
    const { out, state } = ssmScan(f64(3, 5), dt, half, ones, ones, sizes, options);
    expectNear(out, [306, 513]);
    expect(state).toEqual(f64(4, 8));
    const large = { ...options, dtBias: f64(1000), dtMin: 0 };
    expectNear(ssmScan(f64(3, 5), dt, half, ones, ones, sizes, large).out, out);
  });
});

describe("indexerTopK", () => {
  // One head of width 1, one page of four tokens: scores are max(0, key).
  const shape = { Hi: 1, Di: 1, Ps: 4, Pmax: 1 };
  const choose = (keys: readonly number[], topK: number, weight = 1): number[] => {
    const [cu, lens] = [i32(0, 1), i32(keys.length)];
    const { indices } = indexerTopK(
      ...[f64(1), f64(weight), f64(...keys, NaN), i32(0), i32(0), cu, lens],
      shape,
      { topK },
    );
    return [...indices];
  };

  test("the largest, ascending; of equal ones the first; fewer than k are all", () => {
    expect(choose([3, 1, 2], 2)).toEqual([0, 2]);
    expect(choose([3, 1, 2], 2, -1)).toEqual([1, 2]);
    expect(choose([-3, -1, -2], 2)).toEqual([0, 1]); // relu: all 0
    expect(choose([1, 2, 1], 2)).toEqual([0, 1]);
    expect(choose([1, NaN, 3], 1)).toEqual([1]);
    expect(choose([1, 2], 4)).toEqual([0, 1, -1, -1]);
  });

  test("heads are weighed behind relu; a query sees what comes before it", () => {
    const sizes = { Hi: 2, Di: 2, Ps: 2, Pmax: 2 };
    const [q, weights] = [f64(1, 0, 0, 1, 1, 0, 0, 1), f64(1, 10, 1, 10)];
    const keys = f64(5, -9, 0, 1, 2, 0, NaN, NaN); // scores 5, 10, 2
    const { indices, scores } = indexerTopK(q, weights, keys, i32(0, 1), i32(0), i32(0, 2), i32(3), sizes, {
      ...{ topK: 1, scale: 2 },
    });
    expect([...indices]).toEqual([1, 1]);
    expect(scores.map((row) => [...row])).toEqual([
      [10, 20],
      [10, 20, 4],
    ]);
  });
});

describe("argmax, logprobs, tables", () => {
  test("argmax: lowest index wins, NaN never, all NaN gives 0", () => {
    const rows = f64(1, 3, 3, NaN, NaN, -5, NaN, NaN, NaN, -Infinity, -Infinity, -Infinity);
    expect(argmax(rows, { B: 4, V: 3 })).toEqual(i32(1, 2, 0, 0));
  });

  test("logprobs: exponentials sum to one, huge logits do not overflow, ties by lower index", () => {
    const logits = f64(1000, 1001, 1000, 999);
    const { chosen, topIds, topValues } = logprobs(logits, i32(3), { B: 1, V: 4, topN: 4 });
    expect(topIds).toEqual(i32(1, 0, 2, 3));
    expect(topValues.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 14);
    expect(chosen[0]).toBe(topValues[3]);
  });

  test("attentionPlan: where each sequence lies; of one without queries nothing is known", () => {
    expect(attentionPlan([3, 1, 2], [0, 2, 2, 3], [9, 5, 4])).toEqual([
      { firstQuery: 0, numQueries: 2, numKeys: 9, row: 3, firstPosition: 7 },
      { firstQuery: 2, numQueries: 0, numKeys: 0, row: 0, firstPosition: 0 },
      { firstQuery: 2, numQueries: 1, numKeys: 4, row: 2, firstPosition: 3 },
    ]);
    expect(attentionPlan([3, 1], [0, 2, 3], [9, 5], [2, -5])).toEqual([
      { firstQuery: 0, numQueries: 2, numKeys: 9, row: 3, firstPosition: 9 },
      { firstQuery: 2, numQueries: 1, numKeys: 0, row: 1, firstPosition: -1 },
    ]);
  });

  test("stepInputs: a decode behind what it has, a chunk where it is told, padding nowhere", () => {
    const pool = [
      [9, 8, 7],
      [6, 5, 4],
      [0, 0, 0],
    ];
    const pages = [[[3, 4], [5, 6], []]];
    const sequences = {
      rows: [1, 0, 2],
      starts: [-1, 0, -1],
      cuSeqlensQ: [0, 1, 4, 5],
      logitIndices: [3, 0],
    };
    expect(
      stepInputs({ ...sequences, lengths: [1, 2, 0], tokenPool: pool, pageTables: pages, pageSizes: [2] }),
    ).toEqual({
      tokens: [4, 9, 8, 7, 0],
      positions: [2, 0, 1, 2, 0],
      slots: [12, 6, 7, 8, -1],
      contextLens: [3, 3, 1],
      samplePositions: [3, 3],
      lengths: [3, 3, 0],
    });
  });

  test("columns gathered in an order and then in its inverse are the columns", () => {
    const [x, order, inverse] = [f64(1, 2, 3, 4, 5, 6), i32(2, 0, 1), i32(1, 2, 0)];
    const moved = gatherInputs(x, order, null, null, { K: 3 });
    expect(moved).toEqual(f64(3, 1, 2, 6, 4, 5));
    expect(gatherInputs(moved, inverse, null, null, { K: 3 })).toEqual(x);
    // The second row is of the second expert, the third of none.
    const rows = gatherInputs(x, i32(0, 1, 2, 2, 0, 1), i32(0, 1, 2), i32(0, 1, 0), { K: 3 });
    expect(rows).toEqual(f64(1, 2, 3, 6, 4, 5, NaN, NaN, NaN));
  });

  test("scatter then gather returns the values; row -1 skips and gives 0", () => {
    const [rows, cols] = [i32(2, -1, 0), i32(1, 1, 2)];
    const table = tableScatter(new Int32Array(9).fill(7), rows, cols, i32(5, 6, 8), { L: 3 });
    expect(table).toEqual(i32(7, 7, 8, 7, 7, 7, 7, 5, 7));
    expect(tableGather(table, rows, cols, { L: 3 })).toEqual(i32(5, 0, 8));
  });
});
