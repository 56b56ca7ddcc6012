/**
 * The one table of tolerances: how far a device result may lie from its float64 reference, from the dtype of the output,
 * the length K of the reduction behind one element, and the dtype to which a kernel may round on the way.
 *
 * Write u for the unit roundoff (half an ulp, relative): 2^-24 for f32, 2^-8 for bf16, 2^-11 for f16.
 *
 * 1. Sum in f32. Terms of random sign and size m have partial sums of size m sqrt(k); each addition errs by at most
 *    u32 times the partial sum, independently, so after K additions in a row the error is about u32 m K / sqrt(2) =
 *    u32 sqrt(K) times the size m sqrt(K) of the result. A blocked or pairwise order errs less. Input products,
 *    exp, sqrt and a division add a few u32. Four times that, for the worst of many elements: 4 u32 (sqrt(K) + 8).
 *    This is relative to the typical size of the results, not to the one element, because a sum may cancel (so may a
 *    single element: 1 + tanh(x) for x far below 0): hence the `absolute` part, which `expectClose` multiplies by
 *    the rms of the row.
 * 2. Rounding of intermediate values (an attention probability, a normalised activation, a gate) to a narrow dtype.
 *    K independent relative errors in [-u_i, u_i] on the terms have a standard deviation of at most u_i / sqrt(3) times the size of
 *    the sum. The worst of 1e6 results lies 5 of them out: 3 u_i. That is also what two such roundings make of a single value, which
 *    errs by u_i of itself, and more.
 * 3. Several ops in a row, each of which errs as in 1 and 2: their errors add, at most. A block of lib/nn keeps the size of its
 *    values (norms, weights of size 1 / sqrt(K)), so none of them grows on the way: n times 1 and 2.
 * 4. Rounding of the result to its dtype: u_out of the element itself, added in full because it is certain, not typical.
 *
 * `floor` is absolute: half the spacing of f16 subnormals; for f32 and bf16 the smallest normal value, because a kernel may
 * flush subnormals to zero.
 */
import { floatFormats, type FloatDType } from "./dtype.js";

export interface Tolerance {
  /** Allowed error in units of the expected element. */
  readonly relative: number;
  /** Allowed error in units of the rms of the expected row. */
  readonly absolute: number;
  /** Allowed error in the units of the values. */
  readonly floor: number;
}

/** Unit roundoff: the largest relative error of rounding to nearest. */
export const unitRoundoff: Readonly<Record<FloatDType, number>> = {
  f32: 2 ** -floatFormats.f32.significandBits,
  bf16: 2 ** -floatFormats.bf16.significandBits,
  f16: 2 ** -floatFormats.f16.significandBits,
};

const floors: Readonly<Record<FloatDType, number>> = { f32: 2 ** -126, bf16: 2 ** -126, f16: 2 ** -25 };

/**
 * @param output dtype of the result.
 * @param options.reduction K, the number of terms behind one element (1 for an elementwise op).
 * @param options.intermediate narrowest dtype to which the op may round on the way (default f32: it does not).
 * @param options.ops how many ops in a row (default 1); K is that of the longest.
 */
export function toleranceFor(
  output: FloatDType,
  {
    reduction = 1,
    intermediate = "f32",
    ops = 1,
  }: { readonly reduction?: number; readonly intermediate?: FloatDType; readonly ops?: number } = {},
): Tolerance {
  const arithmetic = ops * 4 * unitRoundoff.f32 * (Math.sqrt(reduction) + 8);
  const passing = intermediate === "f32" ? 0 : ops * 3 * unitRoundoff[intermediate];
  const result = output === "f32" ? 0 : unitRoundoff[output];
  return {
    relative: arithmetic + passing + result,
    absolute: arithmetic + passing,
    floor: floors[output],
  };
}
