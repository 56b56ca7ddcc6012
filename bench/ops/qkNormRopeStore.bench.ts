/** npx tsx bench/ops/qkNormRopeStore.bench.ts: beside the three ops that it stands for. */
import { kvStore } from "../../lib/ops/kvStore.js";
import { qkNormRopeStore } from "../../lib/ops/qkNormRopeStore.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { rope } from "../../lib/ops/rope.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const [Hq, Hkv, Dh, Lmax, P, Ps] = [16, 8, 128, 4096, 512, 16];
const dtype = "bf16";

const cases = [1, 16, 512].flatMap((T) => [true, false].map((together) => ({ T, together })));

await benchOp(
  "qkNormRopeStore",
  cases.map(({ T, together }) => ({
    shape: `T=${T} Hq=${Hq} Hkv=${Hkv} Dh=${Dh}${together ? "" : ", four calls"}`,
    dtype,
    bytes: 2 * bytesOf(dtype, T, Hq + 2 * Hkv, Dh) + bytesOf("f32", T, Dh),
    setup: (stream) => {
      const [q, k, v] = [Hq, Hkv, Hkv].map((heads) => filled(stream, dtype, [T, heads, Dh])) as [
        ReturnType<typeof filled>,
        ReturnType<typeof filled>,
        ReturnType<typeof filled>,
      ];
      const [qWeight, kWeight] = [filled(stream, "f32", [Dh]), filled(stream, "f32", [Dh])];
      const table = filled(stream, "f32", [Lmax, Dh]);
      const [kPages, vPages] = [
        filled(stream, dtype, [P, Ps, Hkv, Dh]),
        filled(stream, dtype, [P, Ps, Hkv, Dh]),
      ];
      const positions = spread(stream, T, Lmax);
      const slots = spread(stream, T, P * Ps, 17); // odd: no slot twice
      if (together)
        return () =>
          qkNormRopeStore(stream, q, k, v, { positions, table, kPages, vPages, slots, qWeight, kWeight });
      return () => {
        rmsNorm(stream, q, qWeight, { out: q });
        rmsNorm(stream, k, kWeight, { out: k });
        rope(stream, q, k, positions, table);
        kvStore(stream, k, v, kPages, vPages, slots);
      };
    },
  })),
);
