import { erfc } from "./erfc.js";

/**
 * Gaussian error linear unit, elementwise:
 *   "none": x * Phi(x) = x/2 * erfc(-x / sqrt(2)), Phi the normal distribution function
 *   "tanh": x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
 *
 * Source: Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)" (arXiv 1606.08415), section 2.
 */
export function gelu(
  x: Float64Array,
  { approximate }: { readonly approximate: "tanh" | "none" },
): Float64Array /* shape of x */ {
  return x.map((value) => {
    if (approximate === "none") return (value / 2) * erfc(-value / Math.SQRT2);
    return (value / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (value + 0.044715 * value ** 3)));
  });
}
