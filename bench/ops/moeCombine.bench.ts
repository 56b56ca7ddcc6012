/** npx tsx bench/ops/moeCombine.bench.ts */
import { moeCombine } from "../../lib/ops/moeCombine.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, K: 8, D: 2048, dtype: "bf16" },
  { T: 32, K: 8, D: 2048, dtype: "bf16" },
  { T: 2048, K: 2, D: 4096, dtype: "bf16" },
  { T: 2048, K: 8, D: 2048, dtype: "bf16" },
  { T: 2048, K: 8, D: 2048, dtype: "f32" },
] as const;

await benchOp(
  "moeCombine",
  cases.map(({ T, K, D, dtype }) => ({
    shape: `T=${T} K=${K} D=${D}`,
    dtype,
    bytes: bytesOf(dtype, T * K, D) + 2 * bytesOf("f32", T, D) + 2 * bytesOf("f32", T, K),
    setup: (stream) => {
      const y = filled(stream, dtype, [T * K, D]);
      const inverse = spread(stream, T * K, T * K, 61).reshape([T, K]); // a permutation: 61 is prime to T * K
      const weights = filled(stream, "f32", [T, K]);
      const residual = filled(stream, "f32", [T, D]);
      return () => moeCombine(stream, y, inverse, weights, { residual, dtype: "f32" });
    },
  })),
);
