/** npx tsx bench/ops/layerNorm.bench.ts */
import { layerNorm } from "../../lib/ops/layerNorm.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, D: 768, dtype: "f32" },
  { T: 8, D: 1600, dtype: "f32" },
  { T: 512, D: 4096, dtype: "bf16" },
  { T: 16384, D: 4096, dtype: "bf16" },
] as const;

await benchOp(
  "layerNorm",
  cases.map(({ T, D, dtype }) => ({
    shape: `T=${T} D=${D}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, D) + 2 * bytesOf("f32", D),
    setup: (stream) => {
      const [x, weight, bias] = [
        filled(stream, dtype, [T, D]),
        filled(stream, "f32", [D]),
        filled(stream, "f32", [D]),
      ];
      return () => layerNorm(stream, x, weight, bias);
    },
  })),
);
