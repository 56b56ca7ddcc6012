/**
 * What attention does to the queries, keys and values of new tokens, in a row: rmsNorm of every head of q and k that has a
 * weight, rope in split halves, kvStore. The op writes q and the pages in place; the reference returns written copies.
 *
 * Source: those of the three references that it calls.
 */
import { kvStore } from "./kvStore.js";
import { rmsNorm } from "./rmsNorm.js";
import { rope } from "./rope.js";

export interface QkNormRopeStoreSizes {
  readonly T: number;
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly R: number;
  readonly P: number;
  readonly Ps: number;
}

export function qkNormRopeStore(
  heads: { readonly q: Float64Array; readonly k: Float64Array; readonly v: Float64Array }, // [T, H, D]
  weights: { readonly q?: Float64Array | undefined; readonly k?: Float64Array | undefined }, // [Dh]
  tables: { readonly positions: Int32Array; readonly table: Float64Array }, // [T], [Lmax, R]
  pages: { readonly k: Float64Array; readonly v: Float64Array }, // [P, Ps, Hkv, D]
  slots: Int32Array, // [T]
  { T, Hq, Hkv, Dh, Dv, R, P, Ps }: QkNormRopeStoreSizes,
  { eps = 1e-6 }: { readonly eps?: number } = {},
): { readonly q: Float64Array; readonly kPages: Float64Array; readonly vPages: Float64Array } {
  const prepare = (x: Float64Array, weight: Float64Array | undefined, H: number): Float64Array => {
    const normalised = weight ? rmsNorm(x, weight, { T: T * H, D: Dh }, { eps }).out : x;
    return rope(normalised, tables.positions, tables.table, { T, H, Dh, R });
  };
  return {
    q: prepare(heads.q, weights.q, Hq),
    kPages: kvStore(prepare(heads.k, weights.k, Hkv), pages.k, slots, { P, Ps, Hkv, Dh }),
    vPages: kvStore(heads.v, pages.v, slots, { P, Ps, Hkv, Dh: Dv }),
  };
}
