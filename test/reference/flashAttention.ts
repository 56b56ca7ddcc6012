import { attentionRow } from "./attentionRow.js";

/** [T, W] i32: bit j % 32 of word j / 32 of row t: whether query t sees the key of query j of its sequence. */
export interface TreeMask {
  readonly words: ArrayLike<number>;
  readonly W: number;
}

/** Whether query t does not see the key of query j, of n that its sequence has; keys that have no bit are seen. */
export function isHidden(mask: TreeMask | undefined, t: number, j: number, n: number): boolean {
  if (!mask || j < 0 || j >= Math.min(n, 32 * mask.W)) return false;
  return ((mask.words[t * mask.W + (j >> 5)]! >> (j % 32)) & 1) === 0;
}

/** [T, heads, W] i32, heads 1 or Hkv: bit j / 64 of a row: whether query t, KV head h attends to key j of its sequence. */
export interface BlockMask {
  readonly words: ArrayLike<number>;
  readonly heads: number;
  readonly W: number;
}

/** Whether the block of key j is hidden from query t for KV head h; blocks without a bit are. */
export function isBlockHidden(mask: BlockMask | undefined, t: number, h: number, j: number): boolean {
  if (!mask) return false;
  const block = Math.floor(j / 64);
  if (block >= 32 * mask.W) return true;
  const row = (t * mask.heads + (mask.heads === 1 ? 0 : h)) * mask.W;
  return ((mask.words[row + (block >> 5)]! >> (block % 32)) & 1) === 0;
}

interface FlashOptions {
  readonly cuSeqlensQ?: Int32Array; // [B + 1]
  readonly cuSeqlensK?: Int32Array; // [B + 1]
  readonly causal?: boolean;
  readonly scale?: number;
  readonly window?: number;
  readonly softcap?: number;
  readonly sinks?: ArrayLike<number> | undefined; // [Hq]
  readonly treeMask?: TreeMask | undefined;
  readonly blockMask?: BlockMask | undefined;
}

/**
 * Attention over contiguous keys and values of variable-length sequences. Sequence b owns the queries
 * [cuSeqlensQ[b], cuSeqlensQ[b+1]) and the keys [cuSeqlensK[b], cuSeqlensK[b+1]), Lq and Lk many. Query i stands at
 * position i + Lk - Lq (bottom-right aligned) and sees key j if
 *   not causal or j <= i + Lk - Lq, and
 *   window = 0 or j > i + Lk - Lq - window, and
 *   neither tree mask nor block mask hides it.
 * Query head h reads KV head floor(h * Hkv / Hq).
 *
 * Source: `attentionRow`; the alignment is that of Dao, "FlashAttention-2" (arXiv 2307.08691) from release 2.1 on; shared
 * KV heads: Ainslie et al., "GQA" (arXiv 2305.13245), section 2.2; window: Beltagy et al., "Longformer" (arXiv 2004.05150).
 */
export function flashAttention(
  q: Float64Array, // [T, Hq, Dh]
  k: Float64Array, // [S, Hkv, Dh]
  v: Float64Array, // [S, Hkv, Dv]
  {
    Hq,
    Hkv,
    Dh,
    Dv,
  }: { readonly Hq: number; readonly Hkv: number; readonly Dh: number; readonly Dv: number },
  {
    cuSeqlensQ = Int32Array.of(0, q.length / (Hq * Dh)),
    cuSeqlensK = Int32Array.of(0, k.length / (Hkv * Dh)),
    causal = true,
    scale = 1 / Math.sqrt(Dh),
    window = 0,
    softcap = 0,
    sinks,
    treeMask,
    blockMask,
  }: FlashOptions = {},
): { readonly out: Float64Array /* [T, Hq, Dv] */; readonly lse: Float64Array /* [T, Hq] */ } {
  const T = q.length / (Hq * Dh);
  const out = new Float64Array(T * Hq * Dv);
  const lse = new Float64Array(T * Hq).fill(-Infinity);
  for (let b = 0; b + 1 < cuSeqlensQ.length; b++) {
    const firstQuery = cuSeqlensQ[b]!;
    const firstKey = cuSeqlensK[b]!;
    const Lq = cuSeqlensQ[b + 1]! - firstQuery;
    const Lk = cuSeqlensK[b + 1]! - firstKey;
    for (let i = 0; i < Lq; i++) {
      const position = i + Lk - Lq;
      for (let h = 0; h < Hq; h++) {
        const kvHead = Math.floor((h * Hkv) / Hq);
        const keys: Float64Array[] = [];
        const values: Float64Array[] = [];
        for (let j = 0; j < Lk; j++) {
          if (causal && j > position) continue;
          if (window > 0 && j <= position - window) continue;
          if (isHidden(treeMask, firstQuery + i, j - (Lk - Lq), Lq)) continue;
          if (isBlockHidden(blockMask, firstQuery + i, kvHead, j)) continue;
          const row = (firstKey + j) * Hkv + kvHead;
          keys.push(k.subarray(row * Dh, (row + 1) * Dh));
          values.push(v.subarray(row * Dv, (row + 1) * Dv));
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
