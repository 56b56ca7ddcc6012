import { attentionRow } from "./attentionRow.js";
import { type BlockMask, isBlockHidden, isHidden, type TreeMask } from "./flashAttention.js";

interface PagedOptions {
  readonly scale?: number;
  readonly window?: number;
  readonly softcap?: number;
  readonly sinks?: ArrayLike<number> | undefined; // [Hq]
  readonly queryOffsets?: ArrayLike<number>; // [B]
  readonly treeMask?: TreeMask | undefined; // not with queryOffsets
  readonly blockMask?: BlockMask | undefined;
}

/**
 * Causal attention over paged keys and values. Sequence b has contextLens[b] tokens, of which its queries
 * [cuSeqlensQ[b], cuSeqlensQ[b+1]) are the last. Token j of the sequence lies in page pageTable[rows[b], floor(j / Ps)]
 * at offset j mod Ps. A query at position p sees the tokens j <= p, with a window also j > p - window.
 * With `queryOffsets` the pages hold a part of the keys: the queries of sequence b stand so many tokens farther back.
 * Query head h reads KV head floor(h * Hkv / Hq).
 *
 * Source: Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention"
 * (arXiv 2309.06180), equation 4; see `flashAttention` for heads and window.
 */
export function pagedAttention(
  q: Float64Array, // [T, Hq, Dh]
  kPages: Float64Array, // [P, Ps, Hkv, Dh]
  vPages: Float64Array, // [P, Ps, Hkv, Dv]
  pageTable: Int32Array, // [R, Pmax]
  rows: Int32Array, // [B]
  cuSeqlensQ: Int32Array, // [B + 1]
  contextLens: Int32Array, // [B]
  shape: {
    readonly Hq: number;
    readonly Hkv: number;
    readonly Dh: number;
    readonly Dv: number;
    readonly Ps: number;
    readonly Pmax: number;
  },
  {
    scale = 1 / Math.sqrt(shape.Dh),
    window = 0,
    softcap = 0,
    sinks,
    queryOffsets,
    treeMask,
    blockMask,
  }: PagedOptions = {},
): { readonly out: Float64Array /* [T, Hq, Dv] */; readonly lse: Float64Array /* [T, Hq] */ } {
  const { Hq, Hkv, Dh, Dv, Ps, Pmax } = shape;
  const out = new Float64Array((q.length / Dh) * Dv);
  const lse = new Float64Array(q.length / Dh);
  for (let b = 0; b < rows.length; b++) {
    const firstQuery = cuSeqlensQ[b]!;
    const Lq = cuSeqlensQ[b + 1]! - firstQuery;
    for (let i = 0; i < Lq; i++) {
      const position = contextLens[b]! - Lq + i + (queryOffsets?.[b] ?? 0);
      for (let h = 0; h < Hq; h++) {
        const kvHead = Math.floor((h * Hkv) / Hq);
        const keys: Float64Array[] = [];
        const values: Float64Array[] = [];
        for (let j = 0; j <= position && j < contextLens[b]!; j++) {
          if (window > 0 && j <= position - window) continue;
          if (isHidden(treeMask, firstQuery + i, j - (contextLens[b]! - Lq), Lq)) continue;
          if (isBlockHidden(blockMask, firstQuery + i, kvHead, j)) continue;
          const page = pageTable[rows[b]! * Pmax + Math.floor(j / Ps)]!;
          const row = (page * Ps + (j % Ps)) * Hkv + kvHead;
          keys.push(kPages.subarray(row * Dh, (row + 1) * Dh));
          values.push(vPages.subarray(row * Dv, (row + 1) * Dv));
        }
        const row = (firstQuery + i) * Hq + h;
        const query = q.subarray(row * Dh, (row + 1) * Dh);
        const result = attentionRow(query, keys, values, { Dv, scale, softcap, sink: sinks?.[h] });
        out.set(result.out, row * Dv);
        lse[row] = result.lse;
      }
    }
  }
  return { out, lse };
}
