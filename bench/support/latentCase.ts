/** Calls of mlaAttention to time: sequences of one length over latents as floats or codes. */
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { bytesOf, filled, filledPages, spread } from "./inputs.js";
import type { OpBenchCase } from "./opBench.js";
import type { Codes } from "./pagedCase.js";

const [R, Dr, Ps, groups] = [512, 64, 64, 4];

/** B sequences of L tokens, with Lq queries each. `codes`: what the first R numbers of a latent are instead of dtype. */
export function latentCase(
  B: number,
  Lq: number,
  L: number,
  Hq: number,
  dtype: "bf16" | "f32",
  codes?: Codes,
): OpBenchCase {
  const pages = L / Ps;
  const codeBytes =
    codes && bytesOf(codes, B, L, R) + bytesOf("f32", B, L, groups) + bytesOf(dtype, B, L, Dr);
  return {
    shape: `B=${B} Lq=${Lq} L=${L} Hq=${Hq} R=${R} Dr=${Dr}${codes ? ` ${codes} latents` : ""}`,
    dtype,
    bytes: (codeBytes ?? bytesOf(dtype, B, L, R + Dr)) + bytesOf(dtype, B, Lq, Hq, 2 * R + Dr),
    flops: 2 * (2 * R + Dr) * Hq * B * (Lq * L - (Lq * (Lq - 1)) / 2),
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hq, R + Dr]);
      const latents = filledPages(stream, codes ?? dtype, [B * pages, Ps, codes ? R : R + Dr]);
      const beside = codes && {
        latentScales: filled(stream, "f32", [B * pages, Ps, groups]),
        rotatedPages: filled(stream, dtype, [B * pages, Ps, Dr]),
      };
      const pageTable = spread(stream, B * pages, B * pages, 7).reshape([B, pages]); // scattered over all pages
      const rows = spread(stream, B, B);
      const cuSeqlensQ = spread(stream, B + 1, B * Lq + 1, Lq);
      const contextLens = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      const options = { latent: R, scale: 0.07, ...beside };
      return () => mlaAttention(stream, q, latents, pageTable, rows, cuSeqlensQ, contextLens, options);
    },
  };
}
