/**
 * Keys and values as codes of 8 bits: a head x is kept as codes and one factor,
 *   most = max |x|,  scale = most / c,  code = round(x * (c / most)),  value = code * scale,
 * with c = 127 for integers and 448, the largest value, for e4m3. Everything is f32, each operation rounded by itself, to nearest even.
 *
 * Source of e4m3: Micikevicius et al., "FP8 Formats for Deep Learning" (arXiv 2209.05433), table 1. A factor for each head of each token
 * is what vLLM calls per-token-head; see native/core/kv_codes.h for what is not finite and what is tiny.
 */
export type CodeDType = "i8" | "fp8e4m3";

/** The value of a code as it lies in memory. 0x7f and 0xff, NaN in e4m3, are read as the next value after 448 would be. */
export function codeValue(dtype: CodeDType, code: number): number {
  if (dtype === "i8") return code;
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code >> 3) & 15;
  const fraction = code & 7;
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (1 + fraction / 8) * 2 ** (exponent - 7));
}

/** Codes 0 to 0x7e in ascending order of their values. */
const e4m3 = Array.from({ length: 0x7f }, (_, code) => codeValue("fp8e4m3", code));

/** The code nearest to a value, of two as near the even one. */
function nearestCode(dtype: CodeDType, value: number): number {
  if (dtype === "i8") {
    const floor = Math.floor(value);
    const rest = value - floor;
    const up = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0);
    return Math.max(-127, Math.min(127, (up ? floor + 1 : floor) + 0));
  }
  const magnitude = Math.abs(value);
  let best = e4m3.filter((candidate) => candidate <= magnitude).length - 1;
  if (best + 1 < e4m3.length) {
    const [below, above] = [magnitude - e4m3[best]!, e4m3[best + 1]! - magnitude];
    if (above < below || (above === below && best % 2 !== 0)) best++;
  }
  return best + (value < 0 || Object.is(value, -0) ? 0x80 : 0);
}

export interface Codes {
  readonly codes: Float64Array;
  readonly scales: Float64Array;
}

/** Of every row of `width` elements. */
export function toCodes(dtype: CodeDType, x: Float64Array, width: number): Codes {
  const most = dtype === "i8" ? 127 : 448;
  const scales = new Float64Array(x.length / width);
  const codes = new Float64Array(x.length);
  for (let row = 0; row < scales.length; row++) {
    const head = x.subarray(row * width, (row + 1) * width);
    const highest = head.reduce((highest, value) => Math.max(highest, Math.abs(value)), 0);
    if (!Number.isFinite(highest)) scales[row] = NaN;
    else if (highest >= Math.fround(1e-30)) {
      const inverse = Math.fround(most / highest);
      scales[row] = Math.fround(highest / most);
      head.forEach((value, d) => {
        codes[row * width + d] = nearestCode(dtype, Math.fround(value * inverse));
      });
    }
  }
  return { codes, scales };
}

/**
 * Of every row of `width` elements, with a factor for each 128 of them; the last may be of fewer. That is what DeepSeek keeps latents as:
 * FlashMLA, "FP8 KV cache" (github.com/deepseek-ai/FlashMLA).
 */
export function latentsToCodes(dtype: CodeDType, x: Float64Array, width: number): Codes {
  const groups = Math.ceil(width / 128);
  const scales = new Float64Array((x.length / width) * groups);
  const codes = new Float64Array(x.length);
  for (let group = 0; group < scales.length; group++) {
    const row = Math.floor(group / groups);
    const start = row * width + (group % groups) * 128;
    const part = x.subarray(start, Math.min(start + 128, (row + 1) * width));
    const one = toCodes(dtype, part, part.length);
    codes.set(one.codes, start);
    scales[group] = one.scales[0]!;
  }
  return { codes, scales };
}

export function latentsFromCodes(dtype: CodeDType, { codes, scales }: Codes, width: number): Float64Array {
  const groups = Math.ceil(width / 128);
  const scaleOf = (i: number) => scales[Math.floor(i / width) * groups + Math.floor((i % width) / 128)]!;
  return codes.map((code, i) => codeValue(dtype, code) * scaleOf(i));
}

/** The values that attention sees. */
export function fromCodes(dtype: CodeDType, { codes, scales }: Codes, width: number): Float64Array {
  return codes.map((code, i) => codeValue(dtype, code) * scales[Math.floor(i / width)]!);
}
