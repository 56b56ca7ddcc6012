/** npx tsx bench/ops/kvStore.bench.ts */
import { kvStore } from "../../lib/ops/kvStore.js";
import { bytesOf, filled, spread } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const [Hkv, Dh, P, Ps] = [8, 128, 512, 16];

const cases = [
  { T: 1, dtype: "bf16", pages: "bf16" },
  { T: 16, dtype: "bf16", pages: "bf16" },
  { T: 2048, dtype: "bf16", pages: "bf16" },
  { T: 2048, dtype: "f32", pages: "bf16" },
] as const;

await benchOp(
  "kvStore",
  cases.map(({ T, dtype, pages }) => ({
    shape: `T=${T} Hkv=${Hkv} Dh=${Dh}`,
    dtype: dtype === pages ? dtype : `${dtype} to ${pages}`,
    bytes: 2 * (bytesOf(dtype, T, Hkv, Dh) + bytesOf(pages, T, Hkv, Dh)),
    setup: (stream) => {
      const [k, v] = [filled(stream, dtype, [T, Hkv, Dh]), filled(stream, dtype, [T, Hkv, Dh])];
      const kPages = filled(stream, pages, [P, Ps, Hkv, Dh]);
      const vPages = filled(stream, pages, [P, Ps, Hkv, Dh]);
      const slots = spread(stream, T, P * Ps, 17); // odd: no slot twice
      return () => kvStore(stream, k, v, kPages, vPages, slots);
    },
  })),
);
