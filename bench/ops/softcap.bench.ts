/** npx tsx bench/ops/softcap.bench.ts */
import { softcap } from "../../lib/ops/softcap.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, V: 256_000, dtype: "f32" },
  { T: 64, V: 256_000, dtype: "f32" },
  { T: 64, V: 256_000, dtype: "bf16" },
] as const;

await benchOp(
  "softcap",
  cases.map(({ T, V, dtype }) => ({
    shape: `T=${T} V=${V}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, V),
    setup: (stream) => {
      const x = filled(stream, dtype, [T, V]);
      return () => softcap(stream, x, { cap: 30, out: x });
    },
  })),
);
