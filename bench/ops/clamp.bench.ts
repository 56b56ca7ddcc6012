/** npx tsx bench/ops/clamp.bench.ts */
import { clamp } from "../../lib/ops/clamp.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, D: 6144, dtype: "f32" },
  { T: 512, D: 6144, dtype: "f32" },
  { T: 512, D: 6144, dtype: "bf16" },
] as const;

await benchOp(
  "clamp",
  cases.map(({ T, D, dtype }) => ({
    shape: `T=${T} D=${D}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, D),
    setup: (stream) => {
      const x = filled(stream, dtype, [T, D]);
      return () => clamp(stream, x, { limit: 8, out: x });
    },
  })),
);
