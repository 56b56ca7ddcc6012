/**
 * Quantises rows as the golden of tiny-moe's text was made (its README says how): the plain rules of the formats, with scales from the extremes of
 * each group and no search. That file is too large for clones; this makes it of models/tiny-moe.
 *
 * Source of the layouts: ggml-common.h.
 */
import { fromStorage, toStorage } from "../dtype.js";

const halfBits = (value: number): number => toStorage("f16", Float64Array.of(value))[0]!;
const half = (bits: number): number => fromStorage("f16", Uint16Array.of(bits))[0]!;
const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
/** To nearest, ties to even. */
function rounded(value: number): number {
  const low = Math.floor(value);
  const behind = value - low;
  return behind > 0.5 || (behind === 0.5 && low % 2 !== 0) ? low + 1 : low;
}
const extreme = (values: Float32Array): number =>
  values.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);

function putHalf(out: Uint8Array, at: number, value: number): number {
  const bits = halfBits(value);
  out[at] = bits & 255;
  out[at + 1] = bits >> 8;
  return half(bits);
}

type Quantizer = {
  readonly block: number;
  readonly bytes: number;
  quantize(x: Float32Array, out: Uint8Array): void;
};

const q4_0: Quantizer = {
  ...{ block: 32, bytes: 18 },
  quantize(x, out) {
    const d = putHalf(out, 0, extreme(x) / -8);
    const code = (i: number) => (d === 0 ? 8 : clamp(rounded(x[i]! / d) + 8, 0, 15));
    for (let i = 0; i < 16; i++) out[2 + i] = code(i) | (code(i + 16) << 4);
  },
};

const q4_k: Quantizer = {
  ...{ block: 256, bytes: 144 },
  quantize(x, out) {
    const groups = Array.from({ length: 8 }, (_, g) => x.subarray(32 * g, 32 * g + 32));
    const lows = groups.map((group) => -Math.min(0, ...group));
    const scales = groups.map((group, g) => (Math.max(...group) + lows[g]!) / 15);
    const d = putHalf(out, 0, Math.max(...scales) / 63);
    const dmin = putHalf(out, 2, Math.max(...lows) / 63);
    const sc = scales.map((scale) => (d === 0 ? 0 : clamp(rounded(scale / d), 0, 63)));
    const m = lows.map((low) => (dmin === 0 ? 0 : clamp(rounded(low / dmin), 0, 63)));
    for (let j = 0; j < 4; j++) {
      out[4 + j] = sc[j]! | ((sc[j + 4]! >> 4) << 6);
      out[8 + j] = m[j]! | ((m[j + 4]! >> 4) << 6);
      out[12 + j] = (sc[j + 4]! & 15) | ((m[j + 4]! & 15) << 4);
    }
    const code = (g: number, i: number) => {
      const scale = d * sc[g]!;
      return scale === 0 ? 0 : clamp(rounded((groups[g]![i]! + dmin * m[g]!) / scale), 0, 15);
    };
    for (let pair = 0; pair < 4; pair++)
      for (let i = 0; i < 32; i++) out[16 + 32 * pair + i] = code(2 * pair, i) | (code(2 * pair + 1, i) << 4);
  },
};

const q6_k: Quantizer = {
  ...{ block: 256, bytes: 210 },
  quantize(x, out) {
    // Every fifth is below 0, which the format allows.
    const scales = Array.from(
      { length: 16 },
      (_, g) => (Math.abs(extreme(x.subarray(16 * g, 16 * g + 16))) / 31) * (g % 5 === 1 ? -1 : 1),
    );
    const d = putHalf(out, 208, extreme(Float32Array.from(scales, Math.abs)) / 127);
    const sc = scales.map((scale) => (d === 0 ? 0 : clamp(rounded(scale / d), -128, 127)));
    sc.forEach((scale, g) => (out[192 + g] = scale & 255));
    const code = (k: number) => {
      const scale = d * sc[k >> 4]!;
      return 32 + (scale === 0 ? 0 : clamp(rounded(x[k]! / scale), -32, 31));
    };
    for (let side = 0; side < 2; side++)
      for (let i = 0; i < 32; i++) {
        const codes = [0, 32, 64, 96].map((behind) => code(128 * side + behind + i));
        out[64 * side + i] = (codes[0]! & 15) | ((codes[2]! & 15) << 4);
        out[64 * side + 32 + i] = (codes[1]! & 15) | ((codes[3]! & 15) << 4);
        out[128 + 32 * side + i] = codes.reduce((bits, one, j) => bits | ((one >> 4) << (2 * j)), 0);
      }
  },
};

const q8_0: Quantizer = {
  ...{ block: 32, bytes: 34 },
  quantize(x, out) {
    const d = putHalf(out, 0, Math.abs(extreme(x)) / 127);
    for (let i = 0; i < 32; i++) out[2 + i] = d === 0 ? 0 : clamp(rounded(x[i]! / d), -127, 127) & 255;
  },
};

const e2m1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
/** The exponent of OCP Microscaling Formats 1.0, 6.3: that of the largest magnitude less that of 6. */
const mxfp4_gguf: Quantizer = {
  ...{ block: 32, bytes: 17 },
  quantize(x, out) {
    const most = Math.abs(extreme(x));
    const exponent = most === 0 ? 0 : Math.floor(Math.log2(most)) - 2;
    out[0] = exponent + 127;
    const code = (value: number) => {
      const size = Math.abs(value) / 2 ** exponent;
      const nearest = e2m1.reduce((best, one) => (Math.abs(one - size) < Math.abs(best - size) ? one : best));
      return e2m1.indexOf(nearest) | (value < 0 ? 8 : 0);
    };
    for (let i = 0; i < 16; i++) out[1 + i] = code(x[i]!) | (code(x[i + 16]!) << 4);
  },
};

const quantizers = { q8_0, q4_0, q4_k, q6_k, mxfp4_gguf };

/** The bytes of a tensor in blocks. */
export function quantized(type: keyof typeof quantizers, values: Float32Array): Uint8Array {
  const { block, bytes, quantize } = quantizers[type];
  const out = new Uint8Array((values.length / block) * bytes);
  for (let i = 0; i < values.length / block; i++)
    quantize(values.subarray(i * block, (i + 1) * block), out.subarray(i * bytes, (i + 1) * bytes));
  return out;
}
