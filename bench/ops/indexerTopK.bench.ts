/**
 * Products of all index heads with the keys of the context: limited by arithmetic, in decoding as for a prompt. Where a query sees
 * at most topK keys there is nothing to compute.
 *
 *     npx tsx bench/ops/indexerTopK.bench.ts
 */
import { indexerTopK } from "../../lib/ops/indexerTopK.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp, type OpBenchCase } from "../support/opBench.js";

/** DeepSeek V3.2 */
const [Hi, Di, topK, Ps] = [64, 128, 2048, 64];

/** B sequences of L tokens, with Lq queries each. */
function testCase(B: number, Lq: number, L: number, dtype: "bf16" | "f32"): OpBenchCase {
  const pages = L / Ps;
  return {
    shape: `B=${B} Lq=${Lq} L=${L} Hi=${Hi} Di=${Di} topK=${topK}`,
    dtype,
    bytes: bytesOf(dtype, B, L, Di) + bytesOf(dtype, B, Lq, Hi, Di) + bytesOf("i32", B, Lq, topK),
    flops: 2 * Hi * Di * B * (Lq * L - (Lq * (Lq - 1)) / 2),
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hi, Di]);
      const weights = filled(stream, "f32", [B * Lq, Hi]);
      const keyPages = filled(stream, dtype, [B * pages, Ps, Di]);
      const pageTable = spread(stream, B * pages, B * pages, 7).reshape([B, pages]); // scattered over all pages
      const rows = spread(stream, B, B);
      const cuSeqlensQ = spread(stream, B + 1, B * Lq + 1, Lq);
      const contextLens = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      return () =>
        indexerTopK(stream, q, weights, keyPages, pageTable, rows, cuSeqlensQ, contextLens, { topK });
    },
  };
}

await benchOp("indexerTopK", [
  testCase(1, 1, 2048, "bf16"),
  testCase(1, 1, 8192, "bf16"),
  testCase(1, 1, 131_072, "bf16"),
  testCase(4, 1, 8192, "bf16"),
  testCase(1, 256, 8192, "bf16"),
  testCase(1, 1, 8192, "f32"),
]);
