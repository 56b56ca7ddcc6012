/**
 * Comparison of a device result with its float64 reference. Infinities and NaN are compared first, as masks; then every
 * finite element must lie within the tolerance of tolerance.ts, and a failure names the POSITION of the worst element
 * and both values.
 */
import { roundValue, type FloatDType } from "./dtype.js";
import { toleranceFor } from "./tolerance.js";

export interface CloseOptions {
  /** Dtype in which the device stored the result. */
  readonly dtype: FloatDType;
  /** Shape of the result; positions are printed as its indices, and the last axis is the row whose rms sets the scale. */
  readonly shape: readonly number[];
  /** Terms behind one element, see tolerance.ts. */
  readonly reduction?: number;
  /** Narrowest dtype to which the op may round on the way, see tolerance.ts. */
  readonly intermediate?: FloatDType;
  /** Ops in a row that have made it, see tolerance.ts. */
  readonly ops?: number;
  /** What is compared, when an op has several results. */
  readonly label?: string;
}

/** Throws unless `actual` equals `expected` within the tolerance. */
export function expectClose(actual: ArrayLike<number>, expected: Float64Array, options: CloseOptions): void {
  const { dtype, shape, label = "result" } = options;
  expectLength(actual, expected, shape, label);
  // A reference beyond the range of the dtype must come back as infinity.
  const wanted = expected.map((value) =>
    Number.isFinite(roundValue(dtype, value)) ? value : roundValue(dtype, value),
  );
  expectSameMask(actual, wanted, shape, label);

  const { relative, absolute, floor } = toleranceFor(dtype, options);
  const rowLength = shape.at(-1) ?? 1;
  const worst = { index: -1, excess: 1, error: 0, allowed: 0, count: 0 };
  for (let start = 0; start < wanted.length; start += rowLength) {
    const scale = rms(wanted.subarray(start, start + rowLength));
    for (let i = start; i < start + rowLength; i++) {
      if (!Number.isFinite(wanted[i])) continue;
      const error = Math.abs(actual[i]! - wanted[i]!);
      const allowed = relative * Math.abs(wanted[i]!) + absolute * scale + floor;
      if (error <= allowed) continue;
      worst.count++;
      if (error / allowed > worst.excess)
        Object.assign(worst, { index: i, excess: error / allowed, error, allowed });
    }
  }
  if (worst.index < 0) return;
  throw new Error(
    `${label}: ${worst.count} of ${wanted.length} elements differ; worst at ${position(worst.index, shape)}: got ` +
      `${actual[worst.index]}, expected ${wanted[worst.index]} (|difference| ${worst.error.toExponential(3)}, allowed ` +
      `${worst.allowed.toExponential(3)}); normalised error ${normalizedError(actual, wanted).toExponential(3)}`,
  );
}

/** Throws unless both hold the same values, bit for bit as far as float64 can tell; NaN equals NaN, 0 differs from -0. */
export function expectSame(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  { shape, label = "result" }: { readonly shape: readonly number[]; readonly label?: string },
): void {
  expectLength(actual, expected, shape, label);
  const wrong = Array.from({ length: expected.length }, (_, i) => i).filter(
    (i) => !Object.is(actual[i], expected[i]),
  );
  if (wrong.length === 0) return;
  const first = wrong[0]!;
  throw new Error(
    `${label}: ${wrong.length} of ${expected.length} elements differ; first at ${position(first, shape)}: got ` +
      `${show(actual[first]!)}, expected ${show(expected[first]!)}`,
  );
}

/** Equality up to float64 rounding, for checks of the references themselves: |difference| <= tolerance * max(1, |expected|). */
export function expectNear(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-13): void {
  expectLength(actual, expected, [expected.length], "result");
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!);
    if (error <= tolerance * Math.max(1, Math.abs(expected[i]!))) continue;
    throw new Error(
      `[${i}]: got ${actual[i]}, expected ${expected[i]} (|difference| ${error.toExponential(3)})`,
    );
  }
}

/** ||actual - expected|| / ||expected|| over the elements finite in both; 0 when both are zero. */
export function normalizedError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    if (!Number.isFinite(actual[i]) || !Number.isFinite(expected[i])) continue;
    difference += (actual[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/** 1 - cosine of the angle between the two vectors: blind to scale, sensitive to structure. 0 when both are zero. */
export function cosineDistance(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  let dot = 0;
  let actualNorm = 0;
  let expectedNorm = 0;
  for (let i = 0; i < expected.length; i++) {
    dot += actual[i]! * expected[i]!;
    actualNorm += actual[i]! ** 2;
    expectedNorm += expected[i]! ** 2;
  }
  if (actualNorm === 0 && expectedNorm === 0) return 0;
  return 1 - dot / Math.sqrt(actualNorm * expectedNorm);
}

function expectLength(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  shape: readonly number[],
  label: string,
): void {
  const count = shape.reduce((product, size) => product * size, 1);
  if (actual.length === count && expected.length === count) return;
  throw new Error(
    `${label}: shape [${shape.join(", ")}] has ${count} elements, got ${actual.length}, expected ${expected.length}`,
  );
}

function expectSameMask(
  actual: ArrayLike<number>,
  wanted: Float64Array,
  shape: readonly number[],
  label: string,
): void {
  const wrong = Array.from(wanted.keys()).filter((i) => {
    const bothFinite = Number.isFinite(actual[i]) && Number.isFinite(wanted[i]);
    return !bothFinite && !Object.is(actual[i], wanted[i]);
  });
  if (wrong.length === 0) return;
  const first = wrong[0]!;
  throw new Error(
    `${label}: infinities or NaN differ in ${wrong.length} of ${wanted.length} elements; first at ` +
      `${position(first, shape)}: got ${actual[first]}, expected ${wanted[first]}`,
  );
}

function rms(values: Float64Array): number {
  let sum = 0;
  for (const value of values) if (Number.isFinite(value)) sum += value * value;
  return Math.sqrt(sum / Math.max(values.length, 1));
}

function position(index: number, shape: readonly number[]): string {
  const indices: number[] = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    indices.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return `[${indices.join(", ")}]`;
}

function show(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}
