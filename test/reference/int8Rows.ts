const f32 = Math.fround;
const halfEven = (value: number): number => {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest !== 0.5 ? Math.round(value) : floor % 2 === 0 ? floor : floor + 1;
};
const codeOf = (x: number, steps: number): number =>
  Math.max(-127, Math.min(127, halfEven(Math.max(-127, Math.min(127, f32(x * steps))))));
const largest = (x: Float64Array): number => x.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** Rows below are rows of zeros. */
const least = 1e-28;

/** The least e from -24 to 0 with part <= whole 2^e. */
function exponentOf(part: number, whole: number): number {
  let e = 0;
  while (e > -24 && f32(part / whole) <= 2 ** (e - 1)) e--;
  return e;
}

/**
 * Rows of activations as the bytes that products with `activation: "int8"` make of them, and what these mean: round(x / step) step, in
 * -127 to 127. Blocks of 128 have the step max |x| / 127; blocks of 32 have r 2^e, with r = max |x| / 127 of the row and the least
 * e from -24 to 0 that reaches the block.
 *
 * Source: the idea of integer products with block scales is that of ggml's quantize_row_q8_0; powers of two within a row are our own.
 */
export function int8Rows(
  x: Float64Array, // [T, K]
  K: number,
  block: 32 | 128,
): Float64Array /* [T, K], exactly */ {
  const out = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += K) {
    const row = x.subarray(start, start + K);
    const most = largest(row);
    if (!row.every(Number.isFinite)) out.fill(NaN, start, start + K);
    if (!row.every(Number.isFinite) || most < least) continue;
    for (let k = 0; k < K; k += block) {
      const part = row.subarray(k, k + block);
      const top = largest(part);
      if (block === 128 && top < least) continue;
      const e = block === 128 ? 0 : exponentOf(top, most);
      const steps = block === 128 ? f32(127 / top) : f32(127 / most) * 2 ** -e;
      const step = block === 128 ? f32(top / 127) : f32(most / 127) * 2 ** e;
      out.set(
        part.map((value) => codeOf(value, steps) * step),
        start + k,
      );
    }
  }
  return out;
}

/** The size of the blocks for a weight in groups of `group`; 0: all. */
export const blockOf = (group: number): 32 | 128 => (group % 128 === 0 ? 128 : 32);
