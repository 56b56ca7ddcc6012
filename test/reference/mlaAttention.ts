import { attentionRow } from "./attentionRow.js";

/**
 * Causal attention of Multi-head Latent Attention in absorbed form: one latent per token, which is the key of every head and,
 * in its first R columns, the value. Sequences, pages and offsets as `pagedAttention` has them.
 *
 * With `indices` a query attends to the tokens that the first min(topK, p + 1) of its columns name; -1 names none.
 *
 * Source: DeepSeek-AI, "DeepSeek-V2" (arXiv 2405.04434), section 2.1 and appendix C: W_uk is in q, W_uv follows the result.
 */
export function mlaAttention(
  q: Float64Array, // [T, Hq, R + Dr]
  latentPages: Float64Array, // [P, Ps, R + Dr]
  pageTable: Int32Array, // [slots, Pmax]
  rows: Int32Array, // [B]
  cuSeqlensQ: Int32Array, // [B + 1]
  contextLens: Int32Array, // [B]
  shape: {
    readonly Hq: number;
    readonly R: number;
    readonly Dr: number;
    readonly Ps: number;
    readonly Pmax: number;
  },
  options: {
    readonly scale: number;
    readonly queryOffsets?: ArrayLike<number> | undefined;
    readonly indices?: Int32Array | undefined; // [T, topK]
  },
): { readonly out: Float64Array /* [T, Hq, R] */; readonly lse: Float64Array /* [T, Hq] */ } {
  const { Hq, R, Dr, Ps, Pmax } = shape;
  const { scale, queryOffsets, indices } = options;
  const width = R + Dr;
  const topK = indices && (indices.length / q.length) * width * Hq;
  const out = new Float64Array((q.length / width) * R);
  const lse = new Float64Array(q.length / width);
  for (let b = 0; b < rows.length; b++) {
    const firstQuery = cuSeqlensQ[b]!;
    const Lq = cuSeqlensQ[b + 1]! - firstQuery;
    for (let i = 0; i < Lq; i++) {
      const position = contextLens[b]! - Lq + i + (queryOffsets?.[b] ?? 0);
      const seen = Math.max(0, Math.min(position + 1, contextLens[b]!));
      const all = Array.from({ length: seen }, (_, j) => j);
      const chosen = topK && indices.subarray((firstQuery + i) * topK, (firstQuery + i + 1) * topK);
      const tokens = chosen ? Array.from(chosen.subarray(0, seen)).filter((j) => j >= 0) : all;
      const latents = tokens.map((j) => {
        const page = pageTable[rows[b]! * Pmax + Math.floor(j / Ps)]!;
        const row = page * Ps + (j % Ps);
        return latentPages.subarray(row * width, (row + 1) * width);
      });
      const values = latents.map((latent) => latent.subarray(0, R));
      for (let h = 0; h < Hq; h++) {
        const row = (firstQuery + i) * Hq + h;
        const query = q.subarray(row * width, (row + 1) * width);
        const result = attentionRow(query, latents, values, { Dv: R, scale });
        out.set(result.out, row * R);
        lse[row] = result.lse;
      }
    }
  }
  return { out, lse };
}
