/** The mixer of lib/nn/mamba.ts in float64, composed of the references of the ops: a whole sequence at once, from its start. */
import { type Matrix, product } from "./blocks.js";
import { causalConv1d } from "./causalConv1d.js";
import { rmsNorm } from "./rmsNorm.js";
import { ssmScan } from "./ssmScan.js";

export interface MambaWeights {
  /** Gate, then x, b and c, then dt. */
  readonly input: Matrix;
  readonly conv: Float64Array; // [C, W]
  readonly convBias?: Float64Array | undefined; // [C]
  readonly a: Float64Array; // [H]
  readonly dtBias: Float64Array; // [H]
  readonly skip: Float64Array; // [H]
  readonly norm: Float64Array; // [H * P]
  readonly output: Matrix;
}

export interface MambaShape {
  readonly H: number;
  readonly P: number;
  readonly G: number;
  readonly N: number;
  readonly W: number;
  readonly eps: number;
  readonly limits: readonly [number, number];
}

/** output(norm(scan(conv(xbc), dt) * silu(z))), z, xbc, dt = input(x) */
export function mamba(
  x: Float64Array, // [T, D]
  weights: MambaWeights,
  { H, P, G, N, W, eps, limits }: MambaShape,
): Float64Array /* [T, D] */ {
  const { input, conv, convBias, a, dtBias, skip } = weights;
  const T = x.length / input.K;
  const [inner, C] = [H * P, H * P + 2 * G * N];
  const alone = { cuSeqlensQ: [0, T], contextLens: [T], stateIndices: [-1], state: new Float64Array(0) };
  const projected = product(x, input);
  const xbc = causalConv1d(
    columns(projected, T, inner, C),
    conv,
    { D: C, W },
    {
      ...{ ...alone, silu: true },
      ...(convBias && { bias: convBias }),
    },
  ).out;
  const [dtMin, dtMax] = limits;
  const mixed = ssmScan(
    columns(xbc, T, 0, inner),
    columns(projected, T, inner + C, H),
    a,
    columns(xbc, T, inner, G * N),
    columns(xbc, T, inner + G * N, G * N),
    { H, P, G, N },
    { ...alone, skip, dtBias, dtMin, dtMax },
  ).out;
  const gate = columns(projected, T, 0, inner);
  const sizes = { T: T * G, D: inner / G };
  return product(rmsNorm(mixed, weights.norm, sizes, { eps, gate }).out, weights.output);
}

/** Columns [first, first + count) of T rows. */
function columns(rows: Float64Array, T: number, first: number, count: number): Float64Array {
  const width = rows.length / T;
  return Float64Array.from({ length: T * count }, (_, i) => {
    return rows[Math.floor(i / count) * width + first + (i % count)]!;
  });
}
