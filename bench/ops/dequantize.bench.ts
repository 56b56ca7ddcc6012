/** npx tsx bench/ops/dequantize.bench.ts */
import { dequantize, type StoredFormat, StoredRows } from "../../lib/ops/dequantize.js";
import { bytesOf } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const [N, K] = [2048, 2048];
/** Bits of a weight in the file, and inputs that share a scale beside the codes. */
const formats: readonly (readonly [StoredFormat, number, number?])[] = [
  ["int8", 8, 128],
  ["fp8", 8, 128],
  ["packed4", 4, 128],
  ["q8_0", 8.5],
  ["q4_k", 4.5],
  ["q6_k", 6.5625],
];

await benchOp(
  "dequantize",
  formats.map(([format, bits, group]) => ({
    shape: `N=${N} K=${K}`,
    dtype: `${format}->bf16`,
    bytes: (N * K * bits) / 8 + bytesOf("bf16", N, K),
    setup: (stream) => {
      const codes = stream.fromArray("u8", [(N * K * bits) / 8], new Uint8Array((N * K * bits) / 8).fill(1));
      const count = group === undefined ? 0 : (N * K) / group;
      const scales =
        group === undefined ? undefined : stream.fromArray("f32", [count], new Float32Array(count));
      const stored = new StoredRows({ format, outputs: N, inputs: K, group }, { codes, scales });
      return () => dequantize(stream, stored, { dtype: "bf16" });
    },
  })),
);
