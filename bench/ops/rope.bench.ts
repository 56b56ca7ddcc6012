/** npx tsx bench/ops/rope.bench.ts */
import { rope } from "../../lib/ops/rope.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const [Hq, Hkv, Dh, Lmax] = [16, 8, 128, 4096];

const cases = [
  { T: 1, dtype: "bf16", interleaved: false },
  { T: 512, dtype: "bf16", interleaved: false },
  { T: 512, dtype: "bf16", interleaved: true },
  { T: 512, dtype: "f32", interleaved: false },
] as const;

await benchOp(
  "rope",
  cases.map(({ T, dtype, interleaved }) => ({
    shape: `T=${T} Hq=${Hq} Hkv=${Hkv} Dh=${Dh}${interleaved ? " pairs" : ""}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, Hq + Hkv, Dh) + bytesOf("f32", T, Dh),
    setup: (stream) => {
      const [q, k] = [filled(stream, dtype, [T, Hq, Dh]), filled(stream, dtype, [T, Hkv, Dh])];
      const table = filled(stream, "f32", [Lmax, Dh]);
      const positions = spread(stream, T, Lmax);
      return () => rope(stream, q, k, positions, table, { interleaved });
    },
  })),
);
