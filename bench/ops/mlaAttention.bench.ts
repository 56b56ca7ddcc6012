/**
 * Multi-head Latent Attention in absorbed form, with the heads of DeepSeek-V2-Lite (16) and V3 (128): decoding reads each latent once
 * for all heads, so with many heads it is limited by arithmetic.
 *
 *     npx tsx bench/ops/mlaAttention.bench.ts
 */
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp, type OpBenchCase } from "../support/opBench.js";

const [R, Dr, Ps] = [512, 64, 64];

/** B sequences of L tokens, with Lq queries each. */
function testCase(B: number, Lq: number, L: number, Hq: number, dtype: "bf16" | "f32"): OpBenchCase {
  const pages = L / Ps;
  return {
    shape: `B=${B} Lq=${Lq} L=${L} Hq=${Hq} R=${R} Dr=${Dr}`,
    dtype,
    bytes: bytesOf(dtype, B, L, R + Dr) + bytesOf(dtype, B, Lq, Hq, 2 * R + Dr),
    flops: 2 * (2 * R + Dr) * Hq * B * (Lq * L - (Lq * (Lq - 1)) / 2),
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hq, R + Dr]);
      const latents = filled(stream, dtype, [B * pages, Ps, R + Dr]);
      const pageTable = spread(stream, B * pages, B * pages, 7).reshape([B, pages]); // scattered over all pages
      const rows = spread(stream, B, B);
      const cuSeqlensQ = spread(stream, B + 1, B * Lq + 1, Lq);
      const contextLens = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      const options = { latent: R, scale: 0.07 };
      return () => mlaAttention(stream, q, latents, pageTable, rows, cuSeqlensQ, contextLens, options);
    },
  };
}

await benchOp("mlaAttention", [
  testCase(1, 1, 8192, 16, "bf16"),
  testCase(4, 1, 8192, 4, "bf16"),
  testCase(4, 1, 8192, 16, "bf16"),
  testCase(4, 1, 8192, 16, "f32"),
  testCase(1, 1, 8192, 128, "bf16"),
  testCase(1, 64, 2048, 16, "bf16"),
]);
