/**
 * Latent attention (mla.ts) that is not absorbed: of the contexts of a piece of the step (latentForms.ts) the latents are gathered from
 * their pages, keys and values of every head are made from them, and then it is attention of many heads. What that takes is bounded: where
 * contexts are long, some heads come after others.
 */
import { byteLength } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { Tensor } from "../device/tensor.js";
import { copy } from "../ops/copy.js";
import { embedding } from "../ops/embedding.js";
import { flashAttention } from "../ops/flashAttention.js";
import { headLinear } from "../ops/headLinear.js";
import type { GroupedWeight } from "../ops/packLinear.js";
import type { LatentShape, PieceCall, UpProjectedPiece } from "./latentForms.js";

/** Memory for latents, keys and values at once. */
const defaultBytes = 2 ** 29;

export interface UpProjection {
  /** So many latents fit, of one head at a time. */
  readonly mostRows: number;
  attend(stream: Stream, piece: UpProjectedPiece, call: PieceCall): void;
}

/**
 * @param keys W_uk of each head, [Dn, R]
 * @param values W_uv of each head, [Dv, R]
 */
export function upProjection(
  config: LatentShape,
  { keys: keyWeight, values: valueWeight }: { readonly keys: GroupedWeight; readonly values: GroupedWeight },
): UpProjection {
  const { numHeads: H, plainDim, rotatedDim, valueDim, rank, dtype, scale } = config;
  const { upProjectedBytes = defaultBytes } = config;
  const [headDim, width] = [plainDim + rotatedDim, rank + rotatedDim];
  const [latentBytes, headBytes] = [width, headDim + valueDim].map((size) => byteLength(dtype, size)) as [
    number,
    number,
  ];
  const headsAtOnce = (rows: number): number => {
    const most = Math.floor((upProjectedBytes / rows - latentBytes) / headBytes);
    return Math.ceil(H / Math.ceil(H / Math.max(most, 1)));
  };

  const attend: UpProjection["attend"] = (stream, piece, { plain, rotated, latentPages, out }) => {
    const { cuSeqlensQ, cuSeqlensK } = piece;
    const latents = gatherPages(stream, latentPages, piece.pages); // [L, R + Dr]
    const L = latents.size(0);
    const q = stream.empty(dtype, [plain.size(0), H, headDim]);
    copy(stream, plain, q.slice(2, 0, plainDim));
    copy(stream, rotated, q.slice(2, plainDim, headDim));
    const step = headsAtOnce(L);
    for (let head = 0; head < H; head += step) {
      using _some = stream.scope();
      const end = Math.min(head + step, H);
      const heads = end - head;
      const shared = ofHeads(latents.slice(1, 0, rank), heads);
      const keys = stream.empty(dtype, [L, heads, headDim]);
      headLinear(stream, shared, keyWeight.slice(head, end), { out: keys.slice(2, 0, plainDim) });
      copy(stream, ofHeads(latents.slice(1, rank, width), heads), keys.slice(2, plainDim, headDim));
      const values = headLinear(stream, shared, valueWeight.slice(head, end));
      flashAttention(stream, q.slice(1, head, end), keys, values, {
        ...{ cuSeqlensQ, cuSeqlensK, scale, out: out.slice(1, head, end) },
      });
    }
  };
  return { mostRows: Math.floor(upProjectedBytes / (latentBytes + headBytes)), attend };
}

/** [P, Ps, W] of pages to [N * Ps, W]: a page is one row to `embedding`. */
function gatherPages(
  stream: Stream,
  { memory, dtype, shape, strides, byteOffset }: Tensor,
  pages: Tensor,
): Tensor {
  const [P, Ps, W] = shape as [number, number, number];
  const table = Tensor.strided(memory, dtype, [P, Ps * W], [strides[0]!, 1], byteOffset);
  return embedding(stream, pages, table).reshape([pages.size(0) * Ps, W]);
}

/** [L, W] as [L, H, W], the same to all heads. */
function ofHeads({ memory, dtype, shape, strides, byteOffset }: Tensor, heads: number): Tensor {
  const [L, W] = shape as [number, number];
  return Tensor.strided(memory, dtype, [L, heads, W], [strides[0]!, 0, 1], byteOffset);
}
