/**
 * Multi-head latent attention as it is defined: keys and values of every head are made from the latents of all tokens, then it is
 * attention of many heads. Causal, a whole sequence at once.
 *   [latent, key] = x W_kva,  c = norm(latent);  keys[h] = [c W_uk[h], rope(key)],  values[h] = c W_uv[h]
 *   q[h] = [plain, rope(rotated)] of norm(x W_qa) W_qb, or of x W_q
 * With an indexer a query attends to the tokens that it chooses.
 *
 * Source: DeepSeek-V2 (arXiv 2405.04434), equations 9 to 19; queries without latents: its V2-Lite.
 */
import { type Angles, type Matrix, product } from "./blocks.js";
import { attentionRow } from "./attentionRow.js";
import { chooseTokens, type ChosenTokens, type IndexerWeights } from "./indexer.js";
import { rmsNorm } from "./rmsNorm.js";
import { rope } from "./rope.js";

export interface LatentWeights {
  readonly queryLatents?: { readonly matrix: Matrix; readonly norm: Float64Array } | undefined; // [Rq, D]
  readonly queries: Matrix; // [H * (Dn + Dr), Rq or D], the heads one after another
  readonly latents: Matrix; // [R + Dr, D]
  readonly latentNorm: Float64Array; // [R]
  readonly up: Matrix; // [H * (Dn + Dv), R], the heads one after another
  readonly output: Matrix; // [D, H * Dv]
  readonly angles: Angles;
  readonly indexer?: IndexerWeights | undefined;
}

export interface LatentShape {
  readonly H: number;
  readonly Dn: number;
  readonly Dr: number;
  readonly Dv: number;
  readonly R: number;
  readonly scale: number;
  readonly eps: number;
  readonly index?: { readonly topK: number; readonly eps: number } | undefined;
}

export function latentAttention(
  x: Float64Array, // [T, D]
  weights: LatentWeights,
  { H, Dn, Dr, Dv, R, scale, eps, index }: LatentShape,
): {
  readonly out: Float64Array; // [T, D]
  readonly cached: Float64Array; // [T, R + Dr]: the latent after its norm, and the rotated key
  readonly chosen: ChosenTokens | undefined;
} {
  const T = x.length / weights.latents.K;
  const { queryLatents, angles } = weights;
  const positions = Int32Array.from({ length: T }, (_, t) => t);
  const turned = (values: Float64Array, heads: number): Float64Array =>
    rope(
      values,
      positions,
      angles.table,
      { T, H: heads, Dh: Dr, R: Dr },
      { interleaved: angles.interleaved ?? false },
    );
  const normed = (values: Float64Array, norm: Float64Array): Float64Array =>
    rmsNorm(values, norm, { T, D: norm.length }, { eps }).out;

  const from = queryLatents ? normed(product(x, queryLatents.matrix), queryLatents.norm) : x;
  const queries = product(from, weights.queries); // [T, H, Dn + Dr]
  const both = product(x, weights.latents); // [T, R + Dr]
  const latent = normed(columns(both, R + Dr, 0, R), weights.latentNorm);
  const key = turned(columns(both, R + Dr, R, R + Dr), 1); // [T, Dr]
  const up = product(latent, weights.up); // [T, H, Dn + Dv]

  const q = beside(
    columns(queries, Dn + Dr, 0, Dn),
    turned(columns(queries, Dn + Dr, Dn, Dn + Dr), H),
    Dn,
    Dr,
  );
  const keyOfHeads = Float64Array.from({ length: T * H * Dr }, (_, i) => {
    return key[Math.floor(i / (H * Dr)) * Dr + (i % Dr)]!;
  });
  const keys = beside(columns(up, Dn + Dv, 0, Dn), keyOfHeads, Dn, Dr);
  const values = columns(up, Dn + Dv, Dn, Dn + Dv);
  const chosen = weights.indexer && chooseTokens(x, from, weights.indexer, { ...index!, angles });
  const mixed = new Float64Array(T * H * Dv);
  const rowOf = (of: Float64Array, width: number) => (t: number, h: number) =>
    of.subarray((t * H + h) * width, (t * H + h + 1) * width);
  const [query, keyRow, value] = [rowOf(q, Dn + Dr), rowOf(keys, Dn + Dr), rowOf(values, Dv)];
  for (let t = 0; t < T; t++) {
    const tokens = Array.from(chosen?.tokens[t] ?? positions.subarray(0, t + 1));
    for (let h = 0; h < H; h++) {
      const [seenKeys, seenValues] = [tokens.map((s) => keyRow(s, h)), tokens.map((s) => value(s, h))];
      mixed.set(attentionRow(query(t, h), seenKeys, seenValues, { Dv, scale }).out, (t * H + h) * Dv);
    }
  }
  return { out: product(mixed, weights.output), cached: beside(latent, key, R, Dr), chosen };
}

/** Columns [start, end) of rows of `width`. */
function columns(values: Float64Array, width: number, start: number, end: number): Float64Array {
  const size = end - start;
  return Float64Array.from({ length: (values.length / width) * size }, (_, i) => {
    return values[Math.floor(i / size) * width + start + (i % size)]!;
  });
}

/** Rows of `left` numbers and of `right` ones side by side. */
function beside(a: Float64Array, b: Float64Array, left: number, right: number): Float64Array {
  return Float64Array.from({ length: a.length + b.length }, (_, i) => {
    const [row, column] = [Math.floor(i / (left + right)), i % (left + right)];
    return column < left ? a[row * left + column]! : b[row * right + column - left]!;
  });
}
