/**
 * Soft cap, elementwise: cap * tanh(x / cap).
 *
 * Source: Gemma Team, "Gemma 2: Improving Open Language Models at a Practical Size" (arXiv 2408.00118), section 2.
 */
export function softcap(x: Float64Array, { cap }: { readonly cap: number }): Float64Array /* shape of x */ {
  return x.map((value) => cap * Math.tanh(value / cap));
}
