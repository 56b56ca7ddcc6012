/**
 * Decoding (one query per sequence) streams the keys and values of the context: the rate is that of memory. Then the last
 * chunk of a long prompt, limited by arithmetic.
 *
 *     npx tsx bench/ops/pagedAttention.bench.ts
 */
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { bytesOf, filled, filledPages, spread } from "../support/inputs.js";
import { benchOp, type OpBenchCase } from "../support/opBench.js";

const [Hkv, Dh, Ps] = [8, 128, 16];

type Codes = "i8" | "fp8e4m3";

/** B sequences of L tokens, with Lq queries each. `codes`: what the pages hold instead of dtype. */
function testCase(
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

await benchOp("pagedAttention", [
  testCase(1, 1, 2048, 16, "bf16"),
  testCase(1, 1, 8192, 16, "bf16"),
  testCase(4, 1, 2048, 16, "bf16"),
  testCase(4, 1, 8192, 16, "bf16"),
  testCase(4, 1, 8192, 8, "bf16"),
  testCase(4, 1, 8192, 64, "bf16"),
  testCase(4, 1, 8192, 16, "bf16", "i8"),
  testCase(4, 1, 8192, 16, "bf16", "fp8e4m3"),
  testCase(4, 1, 8192, 64, "bf16", "i8"),
  testCase(4, 1, 2048, 16, "f32"),
  testCase(4, 1, 2048, 16, "f32", "i8"),
  testCase(1, 4, 8192, 16, "bf16"),
  testCase(1, 512, 4096, 16, "bf16"),
  testCase(1, 512, 4096, 16, "bf16", "i8"),
  testCase(1, 512, 4096, 16, "bf16", "fp8e4m3"),
]);
