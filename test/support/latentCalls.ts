/** Calls of mlaAttention over latents in scattered pages, for its case tables. */
import type { Tensor } from "../../lib/device/tensor.js";
import { type CodeDType, latentsFromCodes, latentsToCodes } from "../reference/kvCodes.js";
import type { FloatDType } from "./dtype.js";
import { hiddenKeys, type Lengths, type Plant } from "./hiddenKeys.js";
import { Random } from "./random.js";
import { starts } from "./starts.js";

export interface LatentShape {
  readonly lengths: readonly Lengths[];
  readonly Hq: number;
  readonly R: number;
  readonly Dr: number;
  readonly Ps: number;
  readonly dtype: FloatDType;
  /** Of the latents. Default: that of q. */
  readonly pages?: FloatDType;
}

/** Sequences of all kinds: queries, tokens. */
export const mixedLengths = [
  [1, 300],
  [40, 40],
  [0, 7],
  [9, 130],
  [1, 1],
] as const;

/**
 * What a call is given. Pages lie at random places; entries of the table that nobody may read are -1. All that no query sees is NaN
 * or infinite, and so is, in some columns, the planted token of each sequence; `clean`: 1, and nothing is planted.
 */
export function latentCall(c: LatentShape, plant: Plant = "none", clean = false) {
  const { lengths, Hq, R, Dr, Ps, dtype } = c;
  const random = new Random(51);
  const counts = lengths.map(([, context]) => Math.ceil(context / Ps));
  const first = starts(counts);
  const [P, Pmax, slots] = [first.at(-1)! + 3, Math.max(1, ...counts) + 1, lengths.length + 2];
  const scattered = random.permutation(P);
  const rows = random.permutation(slots).slice(0, lengths.length);
  const pageTable = new Int32Array(slots * Pmax).fill(-1);
  counts.forEach((count, b) => {
    pageTable.set(scattered.subarray(first[b], first[b]! + count), rows[b]! * Pmax);
  });
  const rowOf = (b: number, j: number) => scattered[first[b]! + Math.floor(j / Ps)]! * Ps + (j % Ps);
  const cu = starts(lengths.map(([queries]) => queries));
  const T = cu.at(-1)!;
  const store = { rows: P * Ps, Hkv: 1, width: R + Dr, dtype: c.pages ?? dtype, rowOf };
  const mask = { causal: true, window: 0 };
  return {
    ...{ T, P, Pmax, slots, rows, pageTable, cu },
    contextLens: Int32Array.from(lengths, ([, length]) => length),
    q: new Random(53).normal(T * Hq * (R + Dr), { dtype }), // the same in other pages
    latents: hiddenKeys(new Random(52), store, lengths, mask, { plant, clean }),
    sizes: { Hq, R, Dr, Ps, Pmax },
    scale: 1.3 / Math.sqrt(R + Dr),
  };
}

/**
 * The latents of a call as codes, [rows, R], with scales, [rows, groups], and rotated keys, [rows, Dr]; and what they stand for,
 * [rows, R + Dr]. Where a scale is NaN, codes are of every kind; `all`: everywhere.
 */
export function codesOf(
  { latents, sizes: { R, Dr } }: Pick<ReturnType<typeof latentCall>, "latents" | "sizes">,
  dtype: CodeDType,
  all = false,
) {
  const width = R + Dr;
  const rows = latents.length / width;
  const columns = (start: number, end: number): Float64Array =>
    Float64Array.from({ length: rows * (end - start) }, (_, i) => {
      return latents[Math.floor(i / (end - start)) * width + start + (i % (end - start))]!;
    });
  const rotated = columns(R, width);
  const { codes, scales } = latentsToCodes(dtype, columns(0, R), R);
  const groups = scales.length / Math.max(rows, 1);
  for (let i = 0; i < codes.length; i++) {
    const scale = scales[Math.floor(i / R) * groups + Math.floor((i % R) / 128)]!;
    if (all || Number.isNaN(scale)) codes[i] = dtype === "i8" ? (i % 256) - 128 : i % 256;
  }
  const plain = latentsFromCodes(dtype, { codes, scales }, R);
  const values = latents.map((_, i) => {
    const [row, d] = [Math.floor(i / width), i % width];
    return d < R ? plain[row * R + d]! : rotated[row * Dr + d - R]!;
  });
  return { codes, scales, rotated, values, groups: Math.ceil(R / 128) };
}

/** The tensors that say which sequences there are. */
export function sequenceTensors(
  integers: (shape: readonly number[], values: Int32Array) => Tensor,
  { slots, Pmax, pageTable, rows, cu, contextLens }: ReturnType<typeof latentCall>,
) {
  return [
    integers([slots, Pmax], pageTable),
    integers([rows.length], rows),
    integers([cu.length], cu),
    integers([contextLens.length], contextLens),
  ] as const;
}
