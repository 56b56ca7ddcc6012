/**
 * Codes and scales of a matrix, operation by operation in f32 as the contract has them (native/ops/quantize/quantize.h); a fused one is computed
 * in float64 and rounded. `squaredError` is what they are to make small, in float64.
 *
 * Source: the grid search over scales is that of GPTQ's `quant.py` (Frantar et al., arXiv 2210.17323).
 */
import { roundValue } from "../support/dtype.js";
import { e4m3 } from "./storedFormats.js";

export interface QuantizeShape {
  readonly format: "int8" | "fp8" | "packed4";
  readonly N: number;
  readonly K: number;
  /** 0: all inputs. */
  readonly group: number;
  readonly scale: "f32" | "bf16";
  readonly positive: boolean;
}

const f32 = Math.fround;
const fp8Values = Array.from({ length: 127 }, (_, code) => e4m3(code));
const ranges = { int8: [-127, 127], fp8: [-448, 448], packed4: [-8, 7] } as const;

function roundToEven(value: number): number {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 === 0 ? low : low + 1;
}

/** The value of the code that stands for a number in units of the scale. */
export function nearestCode(format: QuantizeShape["format"], units: number): number {
  const [least, most] = ranges[format];
  const within = Math.min(Math.max(units, least), most);
  if (format !== "fp8") return roundToEven(within);
  const size = Math.abs(within);
  const above = fp8Values.findIndex((value) => value >= size);
  const [low, high] = [fp8Values[Math.max(0, above - 1)]!, fp8Values[above]!];
  const isLow = size - low < high - size || (size - low === high - size && above % 2 === 1);
  return Math.sign(within) * (isLow ? low : high);
}

/** The scales of a group among which the search is, in order. */
export function candidates(x: readonly number[], { format, scale, positive }: QuantizeShape): number[] {
  const [high, low] = [Math.max(0, ...x), Math.min(0, ...x)];
  const most = Math.max(high, -low);
  if (most < f32(1e-30)) return [1];
  const searches = format === "packed4";
  const base = searches && !positive ? (high >= -low ? high : low) / -8 : most / ranges[format][1];
  return Array.from({ length: searches ? 13 : 1 }, (_, step) =>
    roundValue(scale, f32(f32(base) * f32((40 - step) * f32(0.025)))),
  );
}

/** 32 parts, one for each element modulo 32, added as a butterfly. */
function searchedError(x: readonly number[], format: QuantizeShape["format"], scale: number): number {
  const parts = new Float32Array(32);
  const inverse = f32(1 / scale);
  for (const [i, value] of x.entries()) {
    const error = f32(value - nearestCode(format, f32(value * inverse)) * scale);
    parts[i % 32] = error * error + parts[i % 32]!;
  }
  for (let half = 16; half >= 1; half /= 2) for (let i = 0; i < half; i++) parts[i]! += parts[i + half]!;
  return parts[0]!;
}

/** In float64. */
export function squaredError(x: readonly number[], format: QuantizeShape["format"], scale: number): number {
  return x.reduce((sum, value) => sum + (value - nearestCode(format, value / scale) * scale) ** 2, 0);
}

/** Of each row, its groups. */
export function groupsOf(x: ArrayLike<number>, { N, K, group }: QuantizeShape): number[][] {
  const each = group || K;
  const perRow = group === 0 ? 1 : Math.ceil(K / group);
  return Array.from({ length: N * perRow }, (_, i) => {
    const [row, g] = [Math.floor(i / perRow), i % perRow];
    const count = Math.min(each, K - g * each);
    return Array.from({ length: count }, (_, k) => x[row * K + g * each + k]!);
  });
}

/** @returns scales [N, groups], and the values of the codes, [N, K] */
export function quantize(
  x: ArrayLike<number>,
  shape: QuantizeShape,
): { readonly scales: Float64Array; readonly codes: Float64Array } {
  const groups = groupsOf(x, shape);
  const scales = groups.map((group) => {
    const tried = candidates(group, shape);
    if (tried.length === 1) return tried[0]!;
    const errors = tried.map((scale) => searchedError(group, shape.format, scale));
    return tried[errors.indexOf(Math.min(...errors))]!;
  });
  const codes = groups.flatMap((group, i) => {
    const isZero = group.every((value) => Math.abs(value) < f32(1e-30));
    const inverse = isZero ? 0 : f32(1 / scales[i]!);
    return group.map((value) => nearestCode(shape.format, f32(value * inverse)));
  });
  return { scales: Float64Array.from(scales), codes: Float64Array.from(codes) };
}
