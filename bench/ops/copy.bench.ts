/** npx tsx bench/ops/copy.bench.ts */
import { copy } from "../../lib/ops/copy.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, D: 4096, dtype: "bf16", strided: false },
  { T: 512, D: 128, dtype: "bf16", strided: true },
  { T: 512, D: 4096, dtype: "bf16", strided: false },
  { T: 8192, D: 4096, dtype: "f32", strided: false },
] as const;

await benchOp(
  "copy",
  cases.map(({ T, D, dtype, strided }) => ({
    shape: `T=${T} D=${D}${strided ? " rows of 3D" : ""}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, D),
    setup: (stream) => {
      const from = strided
        ? filled(stream, dtype, [T, 3 * D]).slice(1, D, 2 * D)
        : filled(stream, dtype, [T, D]);
      const to = stream.empty(dtype, [T, D]);
      return () => copy(stream, from, to);
    },
  })),
);
