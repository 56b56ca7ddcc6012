/** npx tsx bench/ops/causalConv1d.bench.ts */
import { causalConv1d } from "../../lib/ops/causalConv1d.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const W = 4;

/** `B` sequences of `count` tokens each; D of Mamba-2 2.7B. */
const cases = [
  { B: 1, count: 1, D: 5376, dtype: "bf16" },
  { B: 64, count: 1, D: 5376, dtype: "bf16" },
  { B: 4, count: 512, D: 5376, dtype: "bf16" },
  { B: 1, count: 2048, D: 5376, dtype: "f32" },
] as const;

await benchOp(
  "causalConv1d",
  cases.map(({ B, count, D, dtype }) => ({
    shape: `B=${B} T=${B * count} D=${D} W=${W}`,
    dtype,
    bytes: 2 * bytesOf(dtype, B * count, D) + 2 * bytesOf(dtype, B, W - 1, D) + bytesOf("f32", D, W + 1),
    flops: 2 * B * count * D * W,
    setup: (stream) => {
      const i32 = (length: number, value: (i: number) => number) =>
        stream.fromArray(
          "i32",
          [length],
          Int32Array.from({ length }, (_, i) => value(i)),
        );
      const [x, weight] = [filled(stream, dtype, [B * count, D]), filled(stream, "f32", [D, W])];
      const options = {
        bias: filled(stream, "f32", [D]),
        activation: "silu",
        cuSeqlensQ: i32(B + 1, (b) => b * count),
        contextLens: i32(B, () => count + 1024),
        state: filled(stream, dtype, [B, W - 1, D]),
        stateIndices: i32(B, (b) => b),
      } as const;
      return () => causalConv1d(stream, x, weight, options);
    },
  })),
);
