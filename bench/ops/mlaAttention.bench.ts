/**
 * Multi-head Latent Attention in absorbed form, with the heads of DeepSeek-V2-Lite (16) and V3 (128): decoding reads each latent once
 * for all heads, so with many heads it is limited by arithmetic.
 *
 *     npx tsx bench/ops/mlaAttention.bench.ts
 */
import { latentCase } from "../support/latentCase.js";
import { benchOp } from "../support/opBench.js";

await benchOp("mlaAttention", [
  latentCase(1, 1, 8192, 16, "bf16"),
  latentCase(4, 1, 8192, 4, "bf16"),
  latentCase(4, 1, 8192, 16, "bf16"),
  latentCase(4, 1, 8192, 16, "bf16", "i8"),
  latentCase(4, 1, 8192, 16, "bf16", "fp8e4m3"),
  latentCase(4, 1, 8192, 16, "f32"),
  latentCase(1, 1, 8192, 128, "bf16"),
  latentCase(1, 1, 8192, 128, "bf16", "fp8e4m3"),
  latentCase(1, 64, 2048, 16, "bf16"),
  latentCase(1, 64, 2048, 16, "bf16", "fp8e4m3"),
]);
