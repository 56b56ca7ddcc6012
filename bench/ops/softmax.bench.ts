/** npx tsx bench/ops/softmax.bench.ts */
import { softmax } from "../../lib/ops/softmax.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, D: 4096, dtype: "f32", causal: false },
  { T: 512, D: 512, dtype: "f32", causal: true },
  { T: 4096, D: 4096, dtype: "f32", causal: false },
  { T: 4096, D: 4096, dtype: "f32", causal: true },
  { T: 4096, D: 4096, dtype: "bf16", causal: true },
] as const;

await benchOp(
  "softmax",
  cases.map(({ T, D, dtype, causal }) => ({
    shape: `T=${T} D=${D}${causal ? " causal" : ""}`,
    dtype,
    bytes: (causal ? 1.5 : 2) * bytesOf(dtype, T, D), // half of the scores are not read; everything is written
    setup: (stream) => {
      const x = filled(stream, dtype, [T, D]);
      return () => softmax(stream, x, { causal });
    },
  })),
);
