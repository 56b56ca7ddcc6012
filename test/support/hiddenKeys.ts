/**
 * Keys and values of attention with NaN and infinities wherever a mask hides them: behind every token that nobody sees
 * (the rest of a page, pages that were freed, sequences without queries, what lies before, between and behind the
 * sequences) and, as asked, at a token that some queries of its sequence see and others do not.
 */
import type { FloatDType } from "./dtype.js";
import type { Random } from "./random.js";

export interface Mask {
  readonly causal: boolean;
  /** 0: none. */
  readonly window: number;
}

/**
 * Which token of each sequence is planted: the last (hidden from all queries but one), the one of a query in the middle, or
 * the oldest that any query sees (with a window: hidden from all but the first); none.
 */
export type Plant = "last" | "middle" | "oldest" | "none";

/** Queries and keys of a sequence. */
export type Lengths = readonly [number, number];

/** Whether query i of a sequence sees token j. */
export function sees([Lq, Lk]: Lengths, { causal, window }: Mask, i: number, j: number): boolean {
  const position = i + Lk - Lq;
  return (!causal || j <= position) && (window === 0 || j > position - window);
}

/** The token to plant; -1: no. */
export function plantedToken([Lq, Lk]: Lengths, { window }: Mask, plant: Plant): number {
  if (Lq === 0 || Lk === 0 || plant === "none") return -1;
  if (plant === "last") return Lk - 1;
  if (plant === "middle") return Math.max(Lk - 1 - Math.floor(Lq / 2), 0);
  return window > 0 ? Math.max(Lk - Lq - window + 1, 0) : 0;
}

const bad = [NaN, Infinity, -Infinity] as const;

export interface KeyStore {
  /** Token rows of the tensor. */
  readonly rows: number;
  readonly Hkv: number;
  readonly width: number;
  readonly dtype: FloatDType;
  /** Row of token j of sequence b. */
  readonly rowOf: (b: number, j: number) => number;
}

/**
 * [rows, Hkv, width]: normal values for the tokens that some query sees; others are NaN, Infinity or -Infinity, or
 * `clean`: 1. The planted tokens have such values in every eighth column.
 */
export function hiddenKeys(
  random: Random,
  { rows, Hkv, width, dtype, rowOf }: KeyStore,
  lengths: readonly Lengths[],
  mask: Mask,
  { plant, clean = false }: { readonly plant: Plant; readonly clean?: boolean },
): Float64Array {
  const size = Hkv * width;
  const values = Float64Array.from({ length: rows * size }, (_, i) =>
    clean ? 1 : bad[(Math.floor(i / width) + i) % bad.length]!,
  );
  for (const [b, sequence] of lengths.entries()) {
    const Lk = sequence[1];
    const planted = clean ? -1 : plantedToken(sequence, mask, plant);
    for (let j = 0; j < Lk; j++) {
      const own = random.normal(size, { dtype }); // drawn for every token: plants change nothing else
      if (!isSeen(sequence, mask, j)) continue;
      if (j === planted) for (let d = 0; d < size; d += 8) own[d] = bad[(d / 8) % bad.length]!;
      values.set(own, rowOf(b, j) * size);
    }
  }
  return values;
}

/** Whether any query sees token j. */
function isSeen(sequence: Lengths, mask: Mask, j: number): boolean {
  return Array.from({ length: sequence[0] }, (_, i) => sees(sequence, mask, i, j)).includes(true);
}

/** The queries of all sequences, in order, that do not see a planted token. */
export function blindQueries(lengths: readonly Lengths[], mask: Mask, plant: Plant): boolean[] {
  return lengths.flatMap((sequence) => {
    const planted = plantedToken(sequence, mask, plant);
    return Array.from({ length: sequence[0] }, (_, i) => planted < 0 || !sees(sequence, mask, i, planted));
  });
}
