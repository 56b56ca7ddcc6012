/** npx tsx bench/ops/argmax.bench.ts */
import { argmax } from "../../lib/ops/argmax.js";
import { bytesOf } from "../support/inputs.js";
import { normalLogits } from "../support/logits.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { B: 1, V: 50257, dtype: "f32" },
  { B: 1, V: 151936, dtype: "bf16" },
  { B: 1, V: 151936, dtype: "f32" },
  { B: 64, V: 151936, dtype: "f32" },
] as const;

await benchOp(
  "argmax",
  cases.map(({ B, V, dtype }) => ({
    shape: `B=${B} V=${V}`,
    dtype,
    bytes: bytesOf(dtype, B, V),
    setup: (stream) => {
      const logits = normalLogits(stream, dtype, B, V);
      return () => argmax(stream, logits);
    },
  })),
);
