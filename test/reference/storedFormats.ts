/**
 * What stored formats mean, whole matrices at a time and in the order of their bytes; shares no code with native/formats.
 *
 * Sources: ggml's ggml-common.h and dequantize_row_* (GGUF blocks); compressed-tensors pack_quantized.py; AutoGPTQ's and AutoAWQ's
 * packing; OCP Microscaling Formats 1.0 (e8m0, e2m1); OCP 8-bit floating point 1.0 (e4m3).
 */
import { fromStorage } from "../support/dtype.js";

/** A stored matrix on the host. */
export interface StoredMatrix {
  readonly format: string;
  readonly N: number;
  readonly K: number;
  /** Inputs of a group; K or more: one for all. */
  readonly group: number;
  readonly scaleRows: number;
  readonly codes: Uint8Array;
  /** The values of the scales, exactly. */
  readonly scales?: Float64Array;
  readonly zeros?: Int32Array | Int8Array;
  readonly gIdx?: Int32Array;
  readonly addToZeros?: number;
}

const f16 = (bits: number): number => fromStorage("f16", Uint16Array.of(bits))[0]!;
const signed = (byte: number): number => (byte > 127 ? byte - 256 : byte);
export const e8m0 = (byte: number): number => (byte === 255 ? NaN : 2 ** (byte - 127));
const e2m1Table = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
const e2m1 = (nibble: number): number => (nibble >= 8 ? -1 : 1) * e2m1Table[nibble % 8]!;

export function e4m3(byte: number): number {
  const [sign, exponent, fraction] = [byte >= 128 ? -1 : 1, (byte >> 3) % 16, byte % 8];
  if (exponent === 15 && fraction === 7) return NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -9 : (8 + fraction) * 2 ** (exponent - 10));
}

/** Unsigned codes of `bits` bits in 32-bit words, the first in the lowest bits. */
function unpacked(words: ArrayLike<number>, bits: number): number[] {
  const each = 32 / bits;
  return Array.from({ length: words.length * each }, (_, i) =>
    Number((BigInt(words[Math.floor(i / each)]! >>> 0) >> BigInt((i % each) * bits)) % BigInt(2 ** bits)),
  );
}

const wordsOf = (bytes: Uint8Array): Int32Array =>
  new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));

/** [N, K], each value rounded once to f32. */
export function dequantised(m: StoredMatrix): Float64Array {
  const blocks = blockDecoders[m.format];
  if (!blocks) return separate(m);
  const out: number[] = [];
  for (let at = 0; at < m.codes.length; at += blocks.bytes)
    out.push(...blocks.decode(m.codes.subarray(at, at + blocks.bytes)));
  return Float64Array.from(out, Math.fround);
}

type At = (n: number, k: number) => number;

/** Formats with scales beside the codes. */
function separate(m: StoredMatrix): Float64Array {
  const { N, K, scales } = m;
  const groups = Math.ceil(K / m.group);
  const isTurned = /^(gptq|awq)/.test(m.format);
  const number = numbersOf(m);
  const zero = zerosOf(m, groups);
  const out = new Float64Array(N * K);
  for (let n = 0; n < N; n++) {
    for (let k = 0; k < K; k++) {
      const g = m.gIdx ? m.gIdx[k]! : Math.floor(k / m.group);
      const scale = isTurned ? scales![g * N + n]! : scales![Math.floor(n / m.scaleRows) * groups + g]!;
      out[n * K + k] = Math.fround((number(n, k) - zero(n, g)) * scale);
    }
  }
  return out;
}

const awqOrder = [0, 2, 4, 6, 1, 3, 5, 7];

/** Columns of a matrix whose words hold eight of a row, in AWQ's order. */
function awqColumns(words: Int32Array, N: number): At {
  const nibbles = unpacked(words, 4);
  const placeOf = awqOrder.map((_, column) => awqOrder.indexOf(column));
  return (n, row) => nibbles[row * N + n - (n % 8) + placeOf[n % 8]!]!;
}

function numbersOf({ format, N, K, codes }: StoredMatrix): At {
  switch (format) {
    case "int8":
      return (n, k) => signed(codes[n * K + k]!);
    case "fp8":
      return (n, k) => e4m3(codes[n * K + k]!);
    case "packed4":
    case "packed8": {
      const bits = format === "packed4" ? 4 : 8;
      const pitch = Math.ceil(K / (32 / bits)) * (32 / bits);
      const all = unpacked(wordsOf(codes), bits);
      return (n, k) => all[n * pitch + k]! - 2 ** (bits - 1);
    }
    case "gptq4":
    case "gptq8": {
      const bits = format === "gptq4" ? 4 : 8;
      const each = 32 / bits;
      const all = unpacked(wordsOf(codes), bits);
      return (n, k) => all[(Math.floor(k / each) * N + n) * each + (k % each)]!;
    }
    case "awq4":
      return awqColumns(wordsOf(codes), N);
    case "mxfp4":
      return (n, k) => e2m1(k % 2 === 0 ? codes[(n * K + k) / 2]! % 16 : codes[(n * K + k - 1) / 2]! >> 4);
    default:
      throw new Error(`no decoder of ${format}`);
  }
}

/** By row and group. */
function zerosOf({ format, N, zeros, scaleRows, addToZeros = 0 }: StoredMatrix, groups: number): At {
  if (!zeros) return () => (format === "gptq8" ? 128 : format === "gptq4" || format === "awq4" ? 8 : 0);
  if (format === "int8") return (n, g) => zeros[Math.floor(n / scaleRows) * groups + g]!;
  if (format === "awq4") return awqColumns(zeros as Int32Array, N);
  const bits = format.endsWith("8") ? 8 : 4;
  const all = unpacked(zeros, bits);
  const each = 32 / bits;
  if (format.startsWith("gptq"))
    return (n, g) => (all[g * Math.ceil(N / each) * each + n]! + addToZeros) % 2 ** bits;
  return (n, g) => all[(Math.floor(n / each) * groups + g) * each + (n % each)]! - 2 ** (bits - 1);
}

interface BlockDecoder {
  readonly bytes: number;
  readonly inputs: number;
  /** Where f16 numbers stand, for those who make random blocks. */
  readonly halves: readonly number[];
  readonly decode: (block: Uint8Array) => number[];
}

const half = (b: Uint8Array, at: number): number => f16(b[at]! + 256 * b[at + 1]!);
const list = (count: number, value: (i: number) => number): number[] =>
  Array.from({ length: count }, (_, i) => value(i));
/** 32 nibbles of 16 bytes: the low ones, then the high ones. */
const nibbles = (b: Uint8Array, at: number): number[] => [
  ...list(16, (i) => b[at + i]! % 16),
  ...list(16, (i) => b[at + i]! >> 4),
];
const bit = (b: Uint8Array, at: number, i: number): number => (b[at + (i >> 3)]! >> (i & 7)) & 1;

/** The eight (scale, minimum) of Q4_K and Q5_K from 12 bytes. */
function sixBits(b: Uint8Array, at: number): [number[], number[]] {
  const q = b.subarray(at, at + 12);
  const low = list(4, (j) => q[j]! & 63);
  const lowMinimum = list(4, (j) => q[4 + j]! & 63);
  const high = list(4, (j) => (q[8 + j]! & 15) + 16 * (q[j]! >> 6));
  const highMinimum = list(4, (j) => (q[8 + j]! >> 4) + 16 * (q[4 + j]! >> 6));
  return [
    [...low, ...high],
    [...lowMinimum, ...highMinimum],
  ];
}

/** Q4_K and Q5_K: eight groups of 32, two of them in the nibbles of 32 bytes. */
function bigBlock(b: Uint8Array, codesAt: number, highAt: number | undefined): number[] {
  const [d, dmin] = [half(b, 0), half(b, 2)];
  const [scales, minima] = sixBits(b, 4);
  const out: number[] = [];
  for (let pair = 0; pair < 4; pair++) {
    for (const isHigh of [0, 1]) {
      const g = 2 * pair + isHigh;
      for (let i = 0; i < 32; i++) {
        const byte = b[codesAt + 32 * pair + i]!;
        const fifth = highAt === undefined ? 0 : (b[highAt + i]! >> g) & 1;
        const code = (isHigh ? byte >> 4 : byte & 15) + 16 * fifth;
        out.push(d * scales[g]! * code - dmin * minima[g]!);
      }
    }
  }
  return out;
}

function q6k(b: Uint8Array): number[] {
  const d = half(b, 208);
  const out = new Array<number>(256);
  for (let n = 0; n < 2; n++) {
    for (let l = 0; l < 32; l++) {
      const [first, second, high] = [b[64 * n + l]!, b[64 * n + 32 + l]!, b[128 + 32 * n + l]!];
      const codes = [
        (first & 15) | ((high & 3) << 4),
        (second & 15) | (((high >> 2) & 3) << 4),
        (first >> 4) | (((high >> 4) & 3) << 4),
        (second >> 4) | ((high >> 6) << 4),
      ];
      codes.forEach((code, quarter) => {
        const scale = signed(b[192 + 8 * n + 2 * quarter + Math.floor(l / 16)]!);
        out[128 * n + 32 * quarter + l] = d * scale * (code - 32);
      });
    }
  }
  return out;
}

export const blockDecoders: Readonly<Record<string, BlockDecoder>> = {
  q8_0: {
    ...{ bytes: 34, inputs: 32, halves: [0] },
    decode: (b) => list(32, (i) => half(b, 0) * signed(b[2 + i]!)),
  },
  q4_0: {
    ...{ bytes: 18, inputs: 32, halves: [0] },
    decode: (b) => nibbles(b, 2).map((q) => half(b, 0) * (q - 8)),
  },
  q4_1: {
    ...{ bytes: 20, inputs: 32, halves: [0, 2] },
    decode: (b) => nibbles(b, 4).map((q) => half(b, 0) * q + half(b, 2)),
  },
  q5_0: {
    ...{ bytes: 22, inputs: 32, halves: [0] },
    decode: (b) => nibbles(b, 6).map((q, i) => half(b, 0) * (q + 16 * bit(b, 2, i) - 16)),
  },
  q5_1: {
    ...{ bytes: 24, inputs: 32, halves: [0, 2] },
    decode: (b) => nibbles(b, 8).map((q, i) => half(b, 0) * (q + 16 * bit(b, 4, i)) + half(b, 2)),
  },
  q4_k: { bytes: 144, inputs: 256, halves: [0, 2], decode: (b) => bigBlock(b, 16, undefined) },
  q5_k: { bytes: 176, inputs: 256, halves: [0, 2], decode: (b) => bigBlock(b, 48, 16) },
  q6_k: { bytes: 210, inputs: 256, halves: [208], decode: q6k },
  mxfp4_gguf: {
    ...{ bytes: 17, inputs: 32, halves: [] },
    decode: (b) => nibbles(b, 1).map((q) => e2m1(q) * e8m0(b[0]!)),
  },
};
