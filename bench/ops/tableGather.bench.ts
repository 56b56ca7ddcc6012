/** npx tsx bench/ops/tableGather.bench.ts */
import { tableGather } from "../../lib/ops/tableGather.js";
import { bytesOf, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, R: 64, L: 4096 },
  { T: 64, R: 64, L: 4096 },
  { T: 8192, R: 256, L: 32768 },
] as const;

await benchOp(
  "tableGather",
  cases.map(({ T, R, L }) => ({
    shape: `T=${T} R=${R} L=${L}`,
    dtype: "i32",
    bytes: bytesOf("i32", 4, T),
    setup: (stream) => {
      const table = spread(stream, R * L, 32000).reshape([R, L]);
      const [rows, cols] = [spread(stream, T, R), spread(stream, T, L, 7919)];
      return () => tableGather(stream, table, rows, cols);
    },
  })),
);
