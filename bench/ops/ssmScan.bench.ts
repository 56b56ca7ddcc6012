/** npx tsx bench/ops/ssmScan.bench.ts */
import { ssmScan } from "../../lib/ops/ssmScan.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

/** Heads of Mamba-2 130M and 2.7B; `B` sequences of `count` tokens each. */
const [small, large] = [
  { H: 24, P: 64, N: 128 },
  { H: 80, P: 64, N: 128 },
];
const cases = [
  { B: 1, count: 1, ...small, dtype: "bf16" },
  { B: 16, count: 1, ...large, dtype: "bf16" },
  { B: 4, count: 128, ...small, dtype: "bf16" },
  { B: 1, count: 512, ...large, dtype: "bf16" },
  { B: 1, count: 512, ...small, dtype: "f32" },
] as const;

await benchOp(
  "ssmScan",
  cases.map(({ B, count, H, P, N, dtype }) => {
    const T = B * count;
    return {
      shape: `B=${B} T=${T} H=${H} P=${P} N=${N}`,
      dtype,
      bytes: bytesOf(dtype, T, 2 * H * P + H + 2 * N) + 2 * bytesOf("f32", B, H, N, P),
      flops: 5 * T * H * N * P,
      setup: (stream) => {
        const i32 = (length: number, value: (i: number) => number) =>
          stream.fromArray(
            "i32",
            [length],
            Int32Array.from({ length }, (_, i) => value(i)),
          );
        const [x, dt] = [filled(stream, dtype, [T, H, P]), filled(stream, dtype, [T, H])];
        const [b, c] = [filled(stream, dtype, [T, 1, N]), filled(stream, dtype, [T, 1, N])];
        const a = stream.fromArray("f32", [H], new Float32Array(H).fill(-1));
        const options = {
          ...{ skip: filled(stream, "f32", [H]), dtBias: filled(stream, "f32", [H]) },
          cuSeqlensQ: i32(B + 1, (i) => i * count),
          contextLens: i32(B, () => count + 1024),
          state: filled(stream, "f32", [B, H, N, P]),
          stateIndices: i32(B, (i) => i),
        } as const;
        return () => ssmScan(stream, x, dt, a, b, c, options);
      },
    };
  }),
);
