/**
 * Random weights for benches: normal values that depend on nothing but a seed and the tensor's name, so that two files in
 * two formats hold the same model. Not good random numbers; fast ones, a gigabyte in a few seconds.
 *
 * Every value is representable in f32, f16 and bf16, so a dtype changes how a model is stored, not what it computes.
 */
import { type FloatDType, toBfloat16, toFloat32 } from "../../lib/device/dtype.js";

/** A tensor of independent normal values. */
export interface RandomTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly mean: number;
  readonly std: number;
}

const tableSize = 65_536; // what 16 bits of a random word can index
const chunkElements = 1 << 20;

export class RandomValues {
  readonly #seed: number;
  readonly #normals: Float64Array;
  /** Encoded values by dtype, mean and standard deviation: a model has few different ones. */
  readonly #tables = new Map<string, Uint16Array | Float32Array>();

  constructor(seed: number) {
    this.#seed = seed;
    this.#normals = normals(seed);
  }

  /** The tensor's bytes, row-major, in pieces. A piece is valid until the next one is asked for. */
  *chunks({ name, shape, mean, std }: RandomTensor, dtype: FloatDType): Generator<Uint8Array> {
    const table = this.#table(dtype, mean, std);
    const chunk = dtype === "f32" ? new Float32Array(chunkElements) : new Uint16Array(chunkElements);
    let state = nonZero(hash(name) ^ this.#seed);
    for (let left = elements(shape); left > 0; left -= chunkElements) {
      const count = Math.min(left, chunkElements);
      for (let i = 0; i < count; i += 2) {
        state = nextWord(state);
        chunk[i] = table[state & 0xffff]!;
        chunk[i + 1] = table[state >>> 16]!; // one past an odd end is inside the chunk, or ignored
      }
      yield new Uint8Array(chunk.buffer, 0, count * chunk.BYTES_PER_ELEMENT);
    }
  }

  #table(dtype: FloatDType, mean: number, std: number): Uint16Array | Float32Array {
    const key = `${dtype} ${mean} ${std}`;
    let table = this.#tables.get(key);
    if (!table) {
      const values = Float32Array.from(this.#normals, (normal) => mean + std * normal);
      table = encode(dtype, representable(values));
      this.#tables.set(key, table);
    }
    return table;
  }
}

/** Number of elements of a shape. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** `count` token ids below `vocabSize - 1`, which these models call the end of text. */
export function randomIds(seed: number, count: number, vocabSize: number): number[] {
  let state = nonZero(Math.imul(seed + 1, 0x9e3779b1));
  return Array.from({ length: count }, () => (state = nextWord(state)) % (vocabSize - 1));
}

/** Marsaglia's xorshift generator with 32 bits of state; never 0. */
export function nextWord(state: number): number {
  state ^= state << 13;
  state ^= state >>> 17;
  return (state ^ (state << 5)) >>> 0;
}

function nonZero(word: number): number {
  return word >>> 0 || 1;
}

/** 32 bits that depend on nothing but the text; never 0. */
export const nameHash = (text: string): number => nonZero(hash(text));

/** FNV-1a. */
function hash(text: string): number {
  let word = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) word = Math.imul(word ^ text.charCodeAt(i), 0x01000193);
  return word;
}

/** Standard normal values by the method of Box and Muller. */
function normals(seed: number): Float64Array {
  const values = new Float64Array(tableSize);
  let state = nonZero(Math.imul(seed, 0x85ebca6b) ^ 0xc2b2ae35);
  const uniform = (): number => ((state = nextWord(state)) + 0.5) / 2 ** 32;
  for (let i = 0; i < tableSize; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    values[i] = radius * Math.cos(angle);
    values[i + 1] = radius * Math.sin(angle);
  }
  return values;
}

/** Rounds to values that bf16 and f16 both have: 8 significant bits, and no bit below f16's last one, 2^-24. */
function representable(values: Float32Array): Float32Array {
  return toFloat32("bf16", toBfloat16(values)).map((value) =>
    Math.abs(value) < 2 ** -17 ? Math.round(value * 2 ** 24) / 2 ** 24 : value,
  );
}

function encode(dtype: FloatDType, values: Float32Array): Uint16Array | Float32Array {
  if (dtype === "f32") return values;
  return dtype === "bf16" ? toBfloat16(values) : Uint16Array.from(values, exactHalf);
}

/** f16 bits of a value that f16 has. */
function exactHalf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | (size * 2 ** 24); // subnormal
  const exponent = Math.floor(Math.log2(size));
  return sign | ((exponent + 15) << 10) | ((size / 2 ** exponent - 1) * 1024);
}
