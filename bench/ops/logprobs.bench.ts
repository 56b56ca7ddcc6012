/** npx tsx bench/ops/logprobs.bench.ts */
import { logprobs } from "../../lib/ops/logprobs.js";
import { bytesOf, spread } from "../support/inputs.js";
import { normalLogits } from "../support/logits.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { B: 1, V: 151936, topN: 0, dtype: "f32" },
  { B: 1, V: 151936, topN: 20, dtype: "f32" },
  { B: 1, V: 151936, topN: 20, dtype: "bf16" },
  { B: 32, V: 151936, topN: 20, dtype: "f32" },
] as const;

await benchOp(
  "logprobs",
  cases.map(({ B, V, topN, dtype }) => ({
    shape: `B=${B} V=${V} topN=${topN}`,
    dtype,
    bytes: bytesOf(dtype, B, V),
    setup: (stream) => {
      const [logits, ids] = [normalLogits(stream, dtype, B, V), spread(stream, B, V)];
      return () => logprobs(stream, logits, ids, { topN });
    },
  })),
);
