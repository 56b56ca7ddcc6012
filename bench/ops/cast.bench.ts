/** npx tsx bench/ops/cast.bench.ts */
import { cast } from "../../lib/ops/cast.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, D: 4096, from: "f32", to: "bf16" },
  { T: 512, D: 4096, from: "f32", to: "bf16" },
  { T: 8192, D: 4096, from: "f32", to: "bf16" },
  { T: 8192, D: 4096, from: "bf16", to: "f32" },
  { T: 8192, D: 4096, from: "f16", to: "f32" },
] as const;

await benchOp(
  "cast",
  cases.map(({ T, D, from, to }) => ({
    shape: `T=${T} D=${D}`,
    dtype: `${from}->${to}`,
    bytes: bytesOf(from, T, D) + bytesOf(to, T, D),
    setup: (stream) => {
      const x = filled(stream, from, [T, D]);
      return () => cast(stream, x, to);
    },
  })),
);
