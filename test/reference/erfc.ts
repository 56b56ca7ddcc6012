/**
 * Complementary error function, erfc(x) = 2/sqrt(pi) * integral from x to infinity of exp(-t^2) dt, to about 1e-15.
 * Not an op: `gelu` needs it, and JavaScript has none.
 *
 * Source: Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964): for |x| < 2 the series 7.1.6,
 *   erf(x) = 2/sqrt(pi) * exp(-x^2) * sum_n 2^n x^(2n+1) / (1*3*...*(2n+1)),
 * whose terms all have one sign; above it the continued fraction 7.1.14,
 *   sqrt(pi) exp(x^2) erfc(x) = 1/(x + (1/2)/(x + 1/(x + (3/2)/(x + 2/(x + ...))))),
 * evaluated from the tail.
 */
export function erfc(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x < 0) return 2 - erfc(-x);
  if (x < 2) {
    let term = x;
    let sum = x;
    for (let n = 1; term > sum * 1e-18; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  if (x > 28) return 0; // exp(-784) is below the smallest float64
  let fraction = x;
  for (let n = 200; n >= 1; n--) fraction = x + n / 2 / fraction;
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / fraction;
}
