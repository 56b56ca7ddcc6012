/** npx tsx bench/ops/add.bench.ts */
import { add } from "../../lib/ops/add.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, D: 4096, a: "f32", b: "bf16" },
  { T: 512, D: 4096, a: "f32", b: "bf16" },
  { T: 8192, D: 4096, a: "f32", b: "f32" },
  { T: 8192, D: 4096, a: "bf16", b: "bf16" },
] as const;

await benchOp(
  "add",
  cases.map(({ T, D, a, b }) => ({
    shape: `T=${T} D=${D}`,
    dtype: `${a}+${b}`,
    bytes: 2 * bytesOf(a, T, D) + bytesOf(b, T, D),
    setup: (stream) => {
      const [left, right] = [filled(stream, a, [T, D]), filled(stream, b, [T, D])];
      return () => add(stream, left, right);
    },
  })),
);
