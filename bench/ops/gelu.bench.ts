/** npx tsx bench/ops/gelu.bench.ts */
import { gelu } from "../../lib/ops/gelu.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, F: 3072, dtype: "f32", approximate: "tanh" },
  { T: 512, F: 3072, dtype: "f32", approximate: "tanh" },
  { T: 512, F: 3072, dtype: "f32", approximate: "none" },
  { T: 16384, F: 3072, dtype: "bf16", approximate: "tanh" },
] as const;

await benchOp(
  "gelu",
  cases.map(({ T, F, dtype, approximate }) => ({
    shape: `T=${T} F=${F} ${approximate}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, F),
    setup: (stream) => {
      const x = filled(stream, dtype, [T, F]);
      return () => gelu(stream, x, { approximate });
    },
  })),
);
