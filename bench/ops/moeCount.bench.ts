/** npx tsx bench/ops/moeCount.bench.ts */
import { moeCount } from "../../lib/ops/moeCount.js";
import { bytesOf, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, K: 8, E: 128 },
  { T: 32, K: 8, E: 128 },
  { T: 4096, K: 2, E: 8 },
  { T: 4096, K: 8, E: 256 },
];

await benchOp(
  "moeCount",
  cases.map(({ T, K, E }) => ({
    shape: `T=${T} K=${K} E=${E}`,
    dtype: "i32",
    bytes: bytesOf("i32", T, K) + bytesOf("i32", T) + 2 * bytesOf("i32", E, 2),
    setup: (stream) => {
      const experts = spread(stream, T * K, E, 7).reshape([T, K]);
      const slots = spread(stream, T, T, 3);
      const counts = stream.fromArray("i32", [E, 2], new Int32Array(2 * E));
      return () => {
        moeCount(stream, experts, counts, { slots });
        return counts;
      };
    },
  })),
);
