/** What bench:gpu times of attention over latents, and of the products around it. */
import type { Stream } from "../../lib/device/stream.js";
import type { UpProjectedPiece } from "../../lib/nn/latentForms.js";
import { upProjection } from "../../lib/nn/upProjection.js";
import { headLinear as headLinearOp } from "../../lib/ops/headLinear.js";
import { mlaAttention as mlaAttentionOp } from "../../lib/ops/mlaAttention.js";
import { emptyGroupedWeight, type GroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import { filled, spread } from "../support/inputs.js";
import type { GpuCase, Marks } from "./gpuCase.js";
import { copiesOf, inTurn } from "./work.js";

const dtype = "bf16";
const size = 2; // bytes of an element
const pageSize = 64;

interface LatentWork {
  readonly B: number;
  readonly Lq: number;
  readonly L: number;
  readonly Hq: number;
  readonly R: number;
  readonly Dr: number;
  /** Each query attends to so many chosen tokens. */
  readonly topK?: number;
}

/** Latents of R + Dr columns in pages of 64 tokens, shared by Hq heads; the last Lq of L tokens are queries. */
export function mlaAttention({ B, Lq, L, Hq, R, Dr, topK }: LatentWork, marks?: Marks): GpuCase {
  const pages = L / pageSize;
  const pairs = B * (topK ? Lq * topK : Lq * L - (Lq * (Lq - 1)) / 2); // of queries and latents
  const read = topK ? pairs : B * L;
  return {
    op: "mlaAttention",
    shape: `B=${B} Lq=${Lq} L=${L} Hq=${Hq} R=${R} Dr=${Dr}${topK ? ` topK=${topK}` : ""}`,
    dtype,
    bytes: size * (read * (R + Dr) + B * Lq * Hq * (2 * R + Dr)) + (topK ? 4 * B * Lq * topK : 0),
    flops: 2 * (2 * R + Dr) * Hq * pairs,
    marks,
    setup: (stream) => {
      const q = filled(stream, dtype, [B * Lq, Hq, R + Dr]);
      const table = spread(stream, B * pages, B * pages, 7).reshape([B, pages]);
      const [rows, cuSeqlensQ] = [spread(stream, B, B), spread(stream, B + 1, B * Lq + 1, Lq)];
      const lengths = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      const indices = topK ? spread(stream, B * Lq * topK, L - Lq + 1, 7).reshape([B * Lq, topK]) : undefined;
      const options = { latent: R, scale: 0.07, maxQueries: Lq, indices };
      const calls = Array.from({ length: copiesOf(size * B * L * (R + Dr)) }, () => {
        const latents = filled(stream, dtype, [B * pages, pageSize, R + Dr]);
        return () => void mlaAttentionOp(stream, q, latents, table, rows, cuSeqlensQ, lengths, options);
      });
      return inTurn(calls);
    },
  };
}

/**
 * A prompt of n tokens behind c that are cached, not absorbed: what a step does between rotated queries, with latents in their pages, and the
 * output (lib/nn/upProjection.ts). Its flop are those of that form: 2 (c + n) R (Dn + Dv) of a head, and of each pair 2 (Dn + Dr + Dv).
 */
export function latentPrompt(
  { n, c, H, R, Dn, Dr, Dv }: Readonly<Record<"n" | "c" | "H" | "R" | "Dn" | "Dr" | "Dv", number>>,
  marks?: Marks,
): GpuCase {
  const L = c + n;
  const pages = Math.ceil(L / pageSize);
  const pairs = n * c + (n * (n + 1)) / 2;
  return {
    op: "latentPrompt",
    shape: `n=${n} c=${c} H=${H} R=${R} Dn=${Dn} Dr=${Dr} Dv=${Dv}`,
    dtype,
    bytes: size * (L * (R + Dr) + n * H * (Dn + Dr + Dv) + H * R * (Dn + Dv)),
    flops: 2 * H * (L * R * (Dn + Dv) + pairs * (Dn + Dr + Dv)),
    marks,
    setup: (stream) => {
      const widths = { plainDim: Dn, rotatedDim: Dr, valueDim: Dv, rank: R };
      const weights = { keys: headMatrices(stream, H, Dn, R), values: headMatrices(stream, H, Dv, R) };
      const up = upProjection({ numHeads: H, ...widths, dtype, scale: (Dn + Dr) ** -0.5 }, weights);
      const [plain, rotated] = [filled(stream, dtype, [n, H, Dn]), filled(stream, dtype, [n, H, Dr])];
      const latentPages = filled(stream, dtype, [pages, pageSize, R + Dr]);
      const out = stream.empty(dtype, [n, H, Dv]);
      const piece: UpProjectedPiece = {
        ...{ form: "upProjected", first: 0, end: n, pages: spread(stream, pages, pages, 7) },
        ...{ cuSeqlensQ: spread(stream, 2, n + 1, n), cuSeqlensK: spread(stream, 2, L + 1, L) },
      };
      return () => {
        using _temporaries = stream.scope();
        up.attend(stream, piece, { plain, rotated, latentPages, out });
      };
    },
  };
}

/** One matrix of each of H heads, packed. */
function headMatrices(stream: Stream, H: number, N: number, K: number): GroupedWeight {
  const matrix = filled(stream, dtype, [N, K]);
  const weight = emptyGroupedWeight(stream, { experts: H, outputs: N, inputs: K, dtype, swiglu: false });
  for (let h = 0; h < H; h++) packExpert(stream, weight, h, matrix);
  return weight;
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
      const calls = Array.from({ length: copies }, () => {
        const weight = headMatrices(stream, H, N, K);
        return () => void headLinearOp(stream, x, weight);
      });
      return inTurn(calls);
    },
    baseline: { kind: "head_matmul", dtype, T, H, K, N, copies },
  };
}
