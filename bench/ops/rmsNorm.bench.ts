/** npx tsx bench/ops/rmsNorm.bench.ts */
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, D: 2048, dtype: "bf16", residual: false },
  { T: 1, D: 4096, dtype: "f32", residual: false },
  { T: 8, D: 4096, dtype: "bf16", residual: true },
  { T: 512, D: 4096, dtype: "bf16", residual: true },
  { T: 16384, D: 4096, dtype: "bf16", residual: false },
] as const;

await benchOp(
  "rmsNorm",
  cases.map(({ T, D, dtype, residual }) => ({
    shape: `T=${T} D=${D}${residual ? " residual" : ""}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, D) + bytesOf("f32", D) + (residual ? 2 * bytesOf("f32", T, D) : 0),
    setup: (stream) => {
      const [x, weight] = [filled(stream, dtype, [T, D]), filled(stream, "f32", [D])];
      const options = residual ? { residual: filled(stream, "f32", [T, D]) } : {};
      return () => rmsNorm(stream, x, weight, options);
    },
  })),
);
