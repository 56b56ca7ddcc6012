/** Calls of pagedAttention to time: sequences of one length over pages of floats or codes. */
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { bytesOf, everyBlock, filled, filledPages, spread } from "./inputs.js";
import type { OpBenchCase } from "./opBench.js";

const [Hkv, Dh, Ps] = [8, 128, 16];

/** What pages hold instead of the dtype of queries. */
export type Codes = "i8" | "fp8e4m3";

/**
 * B sequences of L tokens, with Lq queries each. `codes`: what the pages hold instead of dtype; `every`: a block mask leaves every so
 * manyth block of 64 keys, to each KV head others.
 */
export function pagedCase(
  B: number,
  Lq: number,
  L: number,
  Hq: number,
  dtype: "bf16" | "f32",
  codes?: Codes,
  every = 1,
): OpBenchCase {
  const pages = L / Ps;
  return {
    shape: `B=${B} Lq=${Lq} L=${L} Hq=${Hq} Hkv=${Hkv}${codes ? ` ${codes} pages` : ""}${every > 1 ? ` 1/${every} of blocks` : ""}`,
    dtype,
    bytes:
      (2 * bytesOf(codes ?? dtype, B, L, Hkv, Dh)) / every +
      (codes ? 2 * bytesOf("f32", B, L, Hkv) : 0) / every +
      2 * bytesOf(dtype, B, Lq, Hq, Dh),
    flops: (4 * Dh * Hq * B * (Lq * L - (Lq * (Lq - 1)) / 2)) / every,
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hq, Dh]);
      const [kPages, vPages] = [1, 2].map(() =>
        filledPages(stream, codes ?? dtype, [B * pages, Ps, Hkv, Dh]),
      );
      const scales = codes && filled(stream, "f32", [B * pages, Ps, Hkv]);
      const blockMask = every > 1 ? everyBlock(stream, B * Lq, Hkv, L, every) : undefined;
      const options = { kScales: scales, vScales: scales, blockMask };
      const pageTable = spread(stream, B * pages, B * pages, 7).reshape([B, pages]); // scattered over all pages
      const rows = spread(stream, B, B);
      const cuSeqlensQ = spread(stream, B + 1, B * Lq + 1, Lq);
      const contextLens = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      return () =>
        pagedAttention(stream, q, kPages!, vPages!, pageTable, rows, cuSeqlensQ, contextLens, options);
    },
  };
}
