/** npx tsx bench/ops/stepInputs.bench.ts */
import { stepInputs } from "../../lib/ops/stepInputs.js";
import { bytesOf } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

/** `B` sequences of `count` tokens each, behind a context of 1,024. */
const cases = [
  { B: 1, count: 1, G: 1 },
  { B: 64, count: 1, G: 1 },
  { B: 256, count: 1, G: 2 },
  { B: 4, count: 2048, G: 1 },
] as const;
const context = 1024;
const pageSize = 16;

await benchOp(
  "stepInputs",
  cases.map(({ B, count, G }) => ({
    shape: `B=${B} T=${B * count} G=${G}`,
    dtype: "i32",
    bytes: bytesOf("i32", (3 + 2 * G) * B * count),
    setup: (stream) => {
      const L = context + count;
      const W = Math.ceil(L / pageSize);
      const i32 = (shape: readonly number[], value: (i: number) => number) =>
        stream.fromArray(
          "i32",
          shape,
          Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => value(i)),
        );
      const inputs = {
        rows: i32([B], (b) => b),
        starts: i32([B], () => context),
        cuSeqlensQ: i32([B + 1], (b) => b * count),
        logitIndices: i32([B], (b) => (b + 1) * count - 1),
        lengths: i32([B + 1], () => 0),
        tokenPool: i32([B + 1, L], (i) => i % 32_000),
        pageTables: i32([G, B + 1, W], (i) => 1 + i),
        groups: i32([G, 2], (i) => (i % 2 === 0 ? pageSize : 1)),
      };
      return () => stepInputs(stream, B * count, inputs);
    },
  })),
);
