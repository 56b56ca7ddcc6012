/** What bench:gpu times of attention over latents, and of the products around it. */
import { headLinear as headLinearOp } from "../../lib/ops/headLinear.js";
import { mlaAttention as mlaAttentionOp } from "../../lib/ops/mlaAttention.js";
import { emptyGroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import { filled, spread } from "../support/inputs.js";
import type { GpuCase, Marks } from "./gpuCase.js";
import { copiesOf, inTurn } from "./work.js";

const dtype = "bf16";
const size = 2; // bytes of an element
const pageSize = 64;

/** Latents of R + Dr columns in pages of 64 tokens, shared by Hq heads; the last Lq of L tokens are queries. */
export function mlaAttention(
  { B, Lq, L, Hq, R, Dr }: { B: number; Lq: number; L: number; Hq: number; R: number; Dr: number },
  marks?: Marks,
): GpuCase {
  const pages = L / pageSize;
  return {
    op: "mlaAttention",
    shape: `B=${B} Lq=${Lq} L=${L} Hq=${Hq} R=${R} Dr=${Dr}`,
    dtype,
    bytes: size * (B * L * (R + Dr) + B * Lq * Hq * (2 * R + Dr)),
    flops: 2 * (2 * R + Dr) * Hq * B * (Lq * L - (Lq * (Lq - 1)) / 2),
    marks,
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hq, R + Dr]);
      const table = spread(stream, B * pages, B * pages, 7).reshape([B, pages]);
      const [rows, cuSeqlensQ] = [spread(stream, B, B), spread(stream, B + 1, B * Lq + 1, Lq)];
      const lengths = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      const options = { latent: R, scale: 0.07, maxQueries: Lq };
      const calls = Array.from({ length: copiesOf(size * B * L * (R + Dr)) }, () => {
        const latents = filled(stream, dtype, [B * pages, pageSize, R + Dr]);
        return () => void mlaAttentionOp(stream, q, latents, table, rows, cuSeqlensQ, lengths, options);
      });
      return inTurn(calls);
    },
  };
}

/** The matrix of each of H heads: of keys, absorbed into queries, or of values, behind the result. */
export function headLinear({ T, H, K, N }: { T: number; H: number; K: number; N: number }): GpuCase {
  const copies = T <= 64 ? copiesOf(size * H * N * K) : 1;
  return {
    op: "headLinear",
    shape: `T=${T} H=${H} K=${K} N=${N}`,
    dtype,
    bytes: size * H * (T * K + N * K + T * N),
    flops: 2 * T * H * N * K,
    setup: (stream) => {
      const x = filled(stream, dtype, [T, H, K]);
      const matrix = filled(stream, dtype, [N, K]);
      const calls = Array.from({ length: copies }, () => {
        const shape = { experts: H, outputs: N, inputs: K, dtype, swiglu: false } as const;
        const weight = emptyGroupedWeight(stream, shape);
        for (let h = 0; h < H; h++) packExpert(stream, weight, h, matrix);
        return () => void headLinearOp(stream, x, weight);
      });
      return inTurn(calls);
    },
    baseline: { kind: "head_matmul", dtype, T, H, K, N, copies },
  };
}
