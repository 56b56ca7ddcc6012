/** npx tsx bench/ops/gatherInputs.bench.ts */
import { gatherInputs } from "../../lib/ops/gatherInputs.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, K: 4096 },
  { T: 32, K: 4096 },
  { T: 512, K: 4096 },
  { T: 512, K: 11008 },
];

await benchOp(
  "gatherInputs",
  cases.map(({ T, K }) => ({
    shape: `T=${T} K=${K}`,
    dtype: "bf16",
    bytes: 2 * bytesOf("bf16", T, K) + bytesOf("i32", K),
    setup: (stream) => {
      const x = filled(stream, "bf16", [T, K]);
      const inputOrder = spread(stream, K, K, 7919).reshape([1, K]);
      return () => gatherInputs(stream, x, inputOrder);
    },
  })),
);
