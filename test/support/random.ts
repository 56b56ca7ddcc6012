import { roundTo, type FloatDType } from "./dtype.js";

/**
 * Seeded random test data: the same seed gives the same values on every machine. Values come back already rounded to
 * the dtype they will be stored in, so that reference and device start from the same numbers.
 *
 * The generator is sfc32 (Chris Doty-Humphrey, PractRand, public domain): four 32-bit words, one of them a counter.
 */
export class Random {
  #a = 0;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number) {
    this.#b = Math.floor(seed / 2 ** 32) | 0;
    this.#c = seed | 0;
    for (let i = 0; i < 15; i++) this.#nextWord(); // the warm-up its author asks for: neighbouring seeds decorrelate
  }

  /** A uniform value in [low, high). */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * ((this.#nextWord() + 0.5) / 2 ** 32);
  }

  /** A uniform integer in [low, high). */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low));
  }

  /**
   * `count` normal values of mean 0, rounded to `dtype`. `outliers` is the share of values multiplied by `outlierScale`: a few
   * large activations among small ones, as real models have.
   */
  normal(
    count: number,
    {
      dtype = "f32",
      std = 1,
      outliers = 0,
      outlierScale = 100,
    }: {
      readonly dtype?: FloatDType;
      readonly std?: number;
      readonly outliers?: number;
      readonly outlierScale?: number;
    } = {},
  ): Float64Array {
    const values = Float64Array.from({ length: count }, () => {
      // Box and Muller (1958); one of the pair is enough here.
      const value = std * Math.sqrt(-2 * Math.log(this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
      return outliers > 0 && this.uniform() < outliers ? value * outlierScale : value;
    });
    return roundTo(dtype, values);
  }

  /** `count` values of random sign with magnitudes spread evenly over the powers of two [2^low, 2^high), rounded to `dtype`. */
  magnitudes(count: number, low: number, high: number, dtype: FloatDType = "f32"): Float64Array {
    const values = Float64Array.from({ length: count }, () => {
      const sign = this.uniform() < 0.5 ? -1 : 1;
      return sign * 2 ** this.uniform(low, high);
    });
    return roundTo(dtype, values);
  }

  /** `count` token ids in [0, V). */
  tokenIds(count: number, V: number): Int32Array {
    return Int32Array.from({ length: count }, () => this.integer(0, V));
  }

  /** The numbers 0..count-1 in random order (Fisher and Yates): scattered pages, shuffled slots. */
  permutation(count: number): Int32Array {
    const order = Int32Array.from({ length: count }, (_, i) => i);
    for (let i = count - 1; i > 0; i--) {
      const j = this.integer(0, i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }

  #nextWord(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }
}
