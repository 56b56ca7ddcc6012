/** npx tsx bench/ops/attentionPlan.bench.ts: paid once per step and kind of layer. */
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { bytesOf, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

/** `B` sequences with `count` queries each, of contexts of 1,024 tokens and more. */
const cases = [
  { B: 1, count: 1 },
  { B: 64, count: 1 },
  { B: 256, count: 1 },
  { B: 4, count: 2048 },
] as const;
const [Ps, Pmax] = [16, 256];

await benchOp(
  "attentionPlan",
  cases.map(({ B, count }) => ({
    shape: `B=${B} T=${B * count}`,
    dtype: "i32",
    bytes: bytesOf("i32", 7, B),
    setup: (stream) => {
      const pageTable = stream.fromArray("i32", [B, Pmax], new Int32Array(B * Pmax));
      const rows = spread(stream, B, B);
      const cuSeqlensQ = spread(stream, B + 1, B * count + 1, count);
      const lens = Int32Array.from({ length: B }, (_, b) => Math.max(1024, count) + 8 * (b % 32));
      const contextLens = stream.fromArray("i32", [B], lens);
      const heads = { numHeads: 32, numKvHeads: 8, headDim: 128, dtype: "bf16" } as const;
      return () =>
        attentionPlan(stream, pageTable, rows, cuSeqlensQ, contextLens, {
          ...{ ...heads, numQueries: B * count, pageSize: Ps },
        });
    },
  })),
);
