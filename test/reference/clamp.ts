/**
 * Elements beyond a limit, on either side, become the limit: min(max(x, -limit), limit).
 *
 * Source: the definition.
 */
export function clamp(x: Float64Array, { limit }: { readonly limit: number }): Float64Array /* shape of x */ {
  return x.map((value) => Math.min(Math.max(value, -limit), limit));
}
