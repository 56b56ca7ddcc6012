/** npx tsx bench/ops/geluMul.bench.ts */
import { geluMul } from "../../lib/ops/geluMul.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, F: 8192, dtype: "bf16", approximate: "tanh" },
  { T: 512, F: 8192, dtype: "bf16", approximate: "tanh" },
  { T: 512, F: 8192, dtype: "bf16", approximate: "none" },
  { T: 8192, F: 8192, dtype: "bf16", approximate: "tanh" },
] as const;

await benchOp(
  "geluMul",
  cases.map(({ T, F, dtype, approximate }) => ({
    shape: `T=${T} F=${F} ${approximate}`,
    dtype,
    bytes: 3 * bytesOf(dtype, T, F),
    setup: (stream) => {
      const x = filled(stream, dtype, [T, 2 * F]);
      return () => geluMul(stream, x, { approximate });
    },
  })),
);
