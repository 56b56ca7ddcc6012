/** npx tsx bench/ops/headLinear.bench.ts: what latent attention multiplies its queries and results with, at the shapes of DeepSeek V2-Lite. */
import { headLinear } from "../../lib/ops/headLinear.js";
import { emptyGroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const H = 16;
const cases = [
  { T: 1, N: 512, K: 128 },
  { T: 32, N: 512, K: 128 },
  { T: 512, N: 512, K: 128 },
  { T: 1, N: 128, K: 512 },
  { T: 512, N: 128, K: 512 },
] as const;

await benchOp(
  "headLinear",
  cases.map(({ T, N, K }) => ({
    shape: `T=${T} H=${H} N=${N} K=${K}`,
    dtype: "bf16",
    bytes: bytesOf("bf16", T, H, K) + bytesOf("bf16", H, N, K) + bytesOf("bf16", T, H, N),
    flops: 2 * T * H * N * K,
    setup: (stream) => {
      const shape = { experts: H, outputs: N, inputs: K, dtype: "bf16", swiglu: false } as const;
      const weight = emptyGroupedWeight(stream, shape);
      const matrix = filled(stream, "bf16", [N, K]);
      for (let h = 0; h < H; h++) packExpert(stream, weight, h, matrix);
      const x = filled(stream, "bf16", [T, H, K]);
      return () => headLinear(stream, x, weight);
    },
  })),
);
