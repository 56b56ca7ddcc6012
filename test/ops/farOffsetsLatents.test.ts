// Contract: mlaAttention loses no offset that needs more than 32 bits, on any of its kernels; as farOffsets.test.ts.
import { expect } from "vitest";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { describeOp } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { compareFarWithNear, type FarCase } from "../support/farCases.js";

/** A decode and a chunk, over latents in pages of 8 or 64 tokens. */
const run =
  (dtype: FloatDType, R: number, Dr: number, Ps: number): FarCase["run"] =>
  (t) => {
    const [P, Pmax, Hq] = [5, 3, 3];
    const table = t.integers(
      [2, Pmax],
      Array.from({ length: 2 * Pmax }, (_, i) => (i * 7 + 3) % P),
    );
    const [q, latents] = [t.normal(dtype, [4, Hq, R + Dr]), t.normal(dtype, [P, Ps, R + Dr])] as const;
    const sequences = [
      t.integers([2], [1, 0]),
      t.integers([3], [0, 1, 4]),
      t.integers([2], [9, 20]),
    ] as const;
    const [out, lse] = [t.empty(dtype, [4, Hq, R]), t.empty("f32", [4, Hq])];
    return [
      mlaAttention(t.stream, q, latents, table, ...sequences, { latent: R, scale: 0.1, lse, out }),
      lse,
    ];
  };

/** The same of latents that are codes, with rotated keys and factors beside them. */
const runCodes =
  (dtype: FloatDType, codes: "i8" | "fp8e4m3", R: number, topK = 0): FarCase["run"] =>
  (t) => {
    const [P, Ps, Hq, Dr] = [5, 8, 3, 32];
    const [q, latents] = [t.normal(dtype, [4, Hq, R + Dr]), t.codes(codes, [P, Ps, R])];
    const options = {
      latentScales: t.normal("f32", [P, Ps, Math.ceil(R / 128)]),
      rotatedPages: t.normal(dtype, [P, Ps, Dr]),
      indices:
        topK > 0
          ? t.integers(
              [4, topK],
              Array.from({ length: 4 * topK }, (_, i) => i % topK),
            )
          : undefined,
    };
    const table = t.integers([2, 3], [3, 0, 2, 4, 1, 3]);
    const sequences = [
      t.integers([2], [1, 0]),
      t.integers([3], [0, 1, 4]),
      t.integers([2], [9, 20]),
    ] as const;
    const out = t.empty(dtype, [4, Hq, R]);
    return [
      mlaAttention(t.stream, q, latents, table, ...sequences, { latent: R, scale: 0.01, out, ...options }),
    ];
  };

const cases: readonly FarCase[] = [0, 1].flatMap((axis) => [
  { name: "R 48, Dr 32, bf16", axis, run: run("bf16", 48, 32, 8) },
  { name: "R 48, Dr 32, f32", axis, run: run("f32", 48, 32, 8) },
  { name: "R 512, Dr 64, bf16", axis, run: run("bf16", 512, 64, 64) },
  { name: "R 512, Dr 64, bf16, pages of 7", axis, run: run("bf16", 512, 64, 7) },
  { name: "codes of i8, f32", axis, run: runCodes("f32", "i8", 48) },
  { name: "codes of fp8e4m3, bf16", axis, run: runCodes("bf16", "fp8e4m3", 272) },
  { name: "chosen codes of fp8e4m3, bf16", axis, run: runCodes("bf16", "fp8e4m3", 144, 5) },
]);

describeOp("far offsets of latents", cases, async (context, c) => {
  const { far, near } = await compareFarWithNear(context, c);
  expect(far).toEqual(near);
});
