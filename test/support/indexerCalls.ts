/**
 * Calls of indexerTopK: keys in scattered pages with NaN wherever no query looks, and what a right choice is when scores are as
 * near to each other as sums err.
 */
import type { Tensor } from "../../lib/device/tensor.js";
import { indexerTopK } from "../../lib/ops/indexerTopK.js";
import type { OpCase, OpContext } from "./devices.js";
import type { FloatDType } from "./dtype.js";
import type { Random } from "./random.js";
import { toleranceFor } from "./tolerance.js";
import { starts } from "./starts.js";

export interface IndexerCase extends OpCase {
  /** Of q; default f32. */
  readonly dtype?: FloatDType;
  /** Default: dtype. */
  readonly keyDtype?: FloatDType;
  /** Default 4, 32 and 16. */
  readonly Hi?: number;
  readonly Di?: number;
  readonly Ps?: number;
  readonly topK: number;
  /** Queries and keys of each sequence. */
  readonly lens: readonly (readonly [number, number])[];
  /** Default: normal values. All others have exact sums: small integers, or one number for each key. */
  readonly values?: "integers" | "rising" | "falling" | "equal";
  readonly std?: number;
  readonly scale?: number;
  readonly strided?: { readonly before: number; readonly after: number };
  /** What is not finite. */
  readonly odd?: "key" | "keys" | "infinite" | "query" | "weight";
}

/** Nobody may look such a page up. */
const noPage = 2 ** 30;

function smallIntegers(random: Random, count: number): Float64Array {
  return Float64Array.from({ length: count }, () => random.integer(-2, 3));
}

/** The floats of a call, and where token j of sequence b lies: slots[b][j]. */
export function makeInputs(c: IndexerCase, random: Random) {
  const { dtype = "f32", keyDtype = dtype, Hi = 4, Di = 32, Ps = 16, lens, values, std = 1 } = c;
  const T = lens.reduce((sum, [queries]) => sum + queries, 0);
  const counts = lens.map(([, keys]) => Math.ceil(keys / Ps));
  const [B, Pmax] = [lens.length, Math.max(0, ...counts) + 1];
  const P = counts.reduce((sum, count) => sum + count, 0) + 2;
  const pages = random.permutation(P);
  const rows = random.permutation(B + 1).subarray(0, B);
  const table = new Int32Array((B + 1) * Pmax).fill(noPage);
  const slots = lens.map(([, keys]) => new Int32Array(keys));
  let used = 0;
  counts.forEach((count, b) => {
    for (let i = 0; i < count; i++) table[rows[b]! * Pmax + i] = pages[used++]!;
    slots[b] = slots[b]!.map((_, s) => table[rows[b]! * Pmax + Math.floor(s / Ps)]! * Ps + (s % Ps));
  });
  const exact = values !== undefined;
  const floats = (count: number, of: FloatDType) =>
    exact ? smallIntegers(random, count) : random.normal(count, { dtype: of, std });
  const keyPages = new Float64Array(P * Ps * Di).fill(NaN);
  for (const slot of slots.flatMap((some) => [...some])) keyPages.set(floats(Di, keyDtype), slot * Di);
  const [q, weights] = [floats(T * Hi * Di, dtype), floats(T * Hi, "f32")];
  if (exact && values !== "integers") {
    // One head, which reads the first column.
    for (let t = 0; t < T * Hi; t++) q.fill(0, t * Di, (t + 1) * Di).fill(1, t * Di, t * Di + 1);
    weights.fill(1);
    const ofKey = { rising: (s: number) => s, falling: (s: number) => 5000 - s, equal: () => 7 }[values];
    slots.forEach((some) => some.forEach((slot, s) => (keyPages[slot * Di] = ofKey(s))));
  }
  return {
    ...{ T, P, slots, scale: c.scale ?? (exact ? 0.5 : 1 / Math.sqrt(Di)) },
    shape: { Hi, Di, Ps, Pmax },
    arguments: [
      q,
      weights,
      keyPages,
      table,
      rows,
      starts(lens.map(([queries]) => queries)),
      Int32Array.from(lens, ([, keys]) => keys),
    ],
  } as const;
}

/** Queries [first, first + count) of the inputs, whose sequences are those of the case. */
export function callOf(
  context: OpContext,
  c: IndexerCase,
  inputs: ReturnType<typeof makeInputs>,
  first = 0,
  count = inputs.T,
): Tensor {
  const { dtype = "f32", keyDtype = dtype, topK, strided, lens } = c;
  const { Hi, Di, Ps, Pmax } = inputs.shape;
  const [q, weights, keyPages, table, rows] = inputs.arguments;
  const place = (of: FloatDType, shape: readonly number[], values: Float64Array): Tensor =>
    strided ? context.stridedRows(of, shape, values, strided) : context.tensor(of, shape, values);
  const part = (values: Float64Array, width: number) =>
    values.subarray(first * width, (first + count) * width);
  const out = context.integers([count, topK + 5], new Int32Array(count * (topK + 5))).slice(1, 2, 2 + topK);
  return indexerTopK(
    context.stream,
    place(dtype, [count, Hi, Di], part(q, Hi * Di)),
    place("f32", [count, Hi], part(weights, Hi)),
    place(keyDtype, [inputs.P, Ps, Di], keyPages),
    context.integers([table.length / Pmax, Pmax], table),
    context.integers([lens.length], rows.subarray(0, lens.length)),
    context.integers([lens.length + 1], starts(lens.map(([queries]) => queries))),
    context.integers(
      [lens.length],
      lens.map(([, keys]) => keys),
    ),
    { topK, scale: inputs.scale, ...(strided && { out }) },
  );
}

/** Throws unless each row has the tokens of the largest of its scores, ascending, up to scores that sums cannot tell apart. */
export function expectChosen(
  actual: Int32Array,
  scores: readonly Float64Array[],
  topK: number,
  { Hi, Di }: { readonly Hi: number; readonly Di: number },
): void {
  // A score is a sum over Hi of sums over Di.
  const { relative, absolute } = toleranceFor("f32", { reduction: Hi + Di, ops: 2 });
  scores.forEach((ofRow, t) => {
    const fail = (what: string) => {
      throw new Error(`row ${t}: ${what}; got ${row.join(" ")}`);
    };
    const row = actual.subarray(t * topK, (t + 1) * topK);
    const count = Math.min(topK, ofRow.length);
    for (let n = 0; n < topK; n++) {
      if (n >= count && row[n] !== -1) fail(`expected -1 at ${n}`);
      if (n < count && !(row[n]! > (row[n - 1] ?? -1) && row[n]! < ofRow.length))
        fail(`expected a position below ${ofRow.length}, more than the one before, at ${n}`);
    }
    const chosen = new Set(row);
    const last = Float64Array.from(ofRow).sort().at(-count)!;
    const rms = Math.sqrt(ofRow.reduce((sum, score) => sum + score ** 2, 0) / ofRow.length);
    ofRow.forEach((score, s) => {
      const error = relative * (Math.abs(score) + Math.abs(last)) + 2 * absolute * rms;
      if (chosen.has(s) && score < last - error) fail(`${s} was chosen, with ${score}, not ${last}`);
      if (!chosen.has(s) && score > last + error) fail(`${s} was not chosen, with ${score}, not ${last}`);
    });
  });
}
