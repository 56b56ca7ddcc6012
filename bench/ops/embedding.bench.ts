/** npx tsx bench/ops/embedding.bench.ts */
import { embedding } from "../../lib/ops/embedding.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, V: 32000, D: 2048, dtype: "bf16", out: "f32" },
  { T: 64, V: 32000, D: 2048, dtype: "bf16", out: "f32" },
  { T: 4096, V: 32000, D: 2048, dtype: "bf16", out: "f32" },
  { T: 4096, V: 32000, D: 2048, dtype: "bf16", out: "bf16" },
] as const;

await benchOp(
  "embedding",
  cases.map(({ T, V, D, dtype, out }) => ({
    shape: `T=${T} V=${V} D=${D}`,
    dtype: `${dtype}->${out}`,
    bytes: bytesOf("i32", T) + bytesOf(dtype, T, D) + bytesOf(out, T, D),
    setup: (stream) => {
      const ids = spread(stream, T, V, 7919); // a prime: rows far apart, none twice
      const table = filled(stream, dtype, [V, D]);
      return () => embedding(stream, ids, table, { dtype: out });
    },
  })),
);
