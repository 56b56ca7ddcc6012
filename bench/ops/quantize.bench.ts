/** npx tsx bench/ops/quantize.bench.ts */
import { emptyStoredRows, quantize, type QuantizedTo } from "../../lib/ops/quantize.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const [N, K] = [2048, 2048];
const formats: readonly (readonly [QuantizedTo, number, bits: number])[] = [
  ["int8", 128, 8],
  ["packed4", 128, 4],
  ["packed4", 32, 4],
  ["fp8", 0, 8],
];

await benchOp(
  "quantize",
  formats.map(([format, group, bits]) => ({
    shape: `N=${N} K=${K} G=${group || K}`,
    dtype: `bf16->${format}`,
    bytes: bytesOf("bf16", N, K) + (N * K * bits) / 8,
    setup: (stream) => {
      const x = filled(stream, "bf16", [N, K]);
      const stored = emptyStoredRows(stream, { format, outputs: N, inputs: K, group });
      return () => quantize(stream, x, stored);
    },
  })),
);
