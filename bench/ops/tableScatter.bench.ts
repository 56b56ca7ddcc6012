/** npx tsx bench/ops/tableScatter.bench.ts */
import { tableScatter } from "../../lib/ops/tableScatter.js";
import { bytesOf, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { N: 1, R: 64, L: 4096 },
  { N: 64, R: 64, L: 4096 },
  { N: 8192, R: 256, L: 32768 },
] as const;

await benchOp(
  "tableScatter",
  cases.map(({ N, R, L }) => ({
    shape: `N=${N} R=${R} L=${L}`,
    dtype: "i32",
    bytes: bytesOf("i32", 4, N),
    setup: (stream) => {
      const table = spread(stream, R * L, 32000).reshape([R, L]);
      const [rows, cols] = [spread(stream, N, R), spread(stream, N, L, 7919)];
      return () => tableScatter(stream, table, rows, cols, rows);
    },
  })),
);
