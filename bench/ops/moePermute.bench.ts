/** npx tsx bench/ops/moePermute.bench.ts */
import { moePermute } from "../../lib/ops/moePermute.js";
import { bytesOf, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, K: 8, E: 128 },
  { T: 32, K: 8, E: 128 },
  { T: 4096, K: 2, E: 8 },
  { T: 4096, K: 8, E: 256 },
];

await benchOp(
  "moePermute",
  cases.map(({ T, K, E }) => ({
    shape: `T=${T} K=${K} E=${E}`,
    dtype: "i32",
    bytes: 3 * bytesOf("i32", T, K) + bytesOf("i32", E + 1),
    setup: (stream) => {
      const experts = spread(stream, T * K, E, 7).reshape([T, K]);
      return () => moePermute(stream, experts, E);
    },
  })),
);
