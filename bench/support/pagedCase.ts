/** Calls of pagedAttention to time: sequences of one length over pages of floats or codes. */
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { bytesOf, filled, filledPages, spread } from "./inputs.js";
import type { OpBenchCase } from "./opBench.js";

const [Hkv, Dh, Ps] = [8, 128, 16];

/** What pages hold instead of the dtype of queries. */
export type Codes = "i8" | "fp8e4m3";

/** B sequences of L tokens, with Lq queries each. `codes`: what the pages hold instead of dtype. */
export function pagedCase(
  B: number,
  Lq: number,
  L: number,
  Hq: number,
  dtype: "bf16" | "f32",
  codes?: Codes,
): OpBenchCase {
  const pages = L / Ps;
  return {
    shape: `B=${B} Lq=${Lq} L=${L} Hq=${Hq} Hkv=${Hkv}${codes ? ` ${codes} pages` : ""}`,
    dtype,
    bytes:
      2 * bytesOf(codes ?? dtype, B, L, Hkv, Dh) +
      (codes ? 2 * bytesOf("f32", B, L, Hkv) : 0) +
      2 * bytesOf(dtype, B, Lq, Hq, Dh),
    flops: 4 * Dh * Hq * B * (Lq * L - (Lq * (Lq - 1)) / 2),
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hq, Dh]);
      const [kPages, vPages] = [1, 2].map(() =>
        filledPages(stream, codes ?? dtype, [B * pages, Ps, Hkv, Dh]),
      );
      const scales = codes && filled(stream, "f32", [B * pages, Ps, Hkv]);
      const options = { kScales: scales, vScales: scales };
      const pageTable = spread(stream, B * pages, B * pages, 7).reshape([B, pages]); // scattered over all pages
      const rows = spread(stream, B, B);
      const cuSeqlensQ = spread(stream, B + 1, B * Lq + 1, Lq);
      const contextLens = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      return () =>
        pagedAttention(stream, q, kPages!, vPages!, pageTable, rows, cuSeqlensQ, contextLens, options);
    },
  };
}
