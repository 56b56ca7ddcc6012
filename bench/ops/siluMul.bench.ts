/** npx tsx bench/ops/siluMul.bench.ts */
import { siluMul, type SwigluClamp } from "../../lib/ops/siluMul.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const cases = [
  { T: 1, F: 8192, dtype: "bf16" },
  { T: 8, F: 8192, dtype: "bf16" },
  { T: 512, F: 8192, dtype: "bf16" },
  { T: 512, F: 8192, dtype: "f32" },
  { T: 8192, F: 8192, dtype: "bf16" },
  { T: 512, F: 8192, dtype: "bf16", clamp: { limit: 7, alpha: 1.702 } },
] as const;
type Case = (typeof cases)[number] & { readonly clamp?: SwigluClamp };

await benchOp(
  "siluMul",
  cases.map(({ T, F, dtype, clamp }: Case) => ({
    shape: `T=${T} F=${F}${clamp ? " clamped" : ""}`,
    dtype,
    bytes: 3 * bytesOf(dtype, T, F),
    setup: (stream) => {
      const x = filled(stream, dtype, [T, 2 * F]);
      return () => siluMul(stream, x, { clamp });
    },
  })),
);
