/** npx tsx bench/ops/packStored.bench.ts */
import { type StoredFormat, StoredRows } from "../../lib/ops/dequantize.js";
import { packStored } from "../../lib/ops/packStored.js";
import { quantizedFormatOf } from "../../lib/ops/weightFormat.js";
import { quantizedWeight } from "../../test/support/quantizedWeights.js";
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
  "packStored",
  formats.map(([format, bits, group = 0]) => ({
    shape: `N=${N} K=${K}`,
    dtype: format,
    bytes: (2 * N * K * bits) / 8,
    setup: (stream) => {
      const codes = stream.fromArray("u8", [(N * K * bits) / 8], new Uint8Array((N * K * bits) / 8).fill(1));
      const count = group === 0 ? 0 : (N * K) / group;
      const scales = group === 0 ? undefined : stream.fromArray("f32", [count], new Float32Array(count));
      const shape = group === 0 ? {} : { group };
      const stored = new StoredRows({ format, outputs: N, inputs: K, ...shape }, { codes, scales });
      const inMemory = quantizedFormatOf(format, { group, scale: "f32", zeros: false });
      const weight = quantizedWeight(stream.device, inMemory, N, K);
      return () => packStored(stream, stored, weight);
    },
  })),
);
