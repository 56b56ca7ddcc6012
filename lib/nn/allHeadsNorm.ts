/**
 * RMSNorm over all heads of a token together (OLMo 2). Ranks that share the heads put them together first: each adds its own to a row
 * of zeros, which changes no number.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { Tensor } from "../device/tensor.js";
import { cast } from "../ops/cast.js";
import { copy } from "../ops/copy.js";
import { rmsNorm } from "../ops/rmsNorm.js";
import type { RankSum } from "./part.js";

/** Which heads a rank has. */
export interface HeadShare {
  /** Heads of all ranks. */
  readonly total: number;
  readonly start: number;
  readonly count: number;
  /** The rank before has them, too. */
  readonly isCopy: boolean;
}

export interface AllHeadsNorm {
  readonly eps: number;
  readonly headDim: number;
  readonly heads: HeadShare;
  /** [total * Dh] f32; needed where ranks share the heads */
  readonly zeros?: Tensor | undefined;
  readonly rankSum: RankSum | undefined;
}

/**
 * @param x [T, count * Dh], overwritten
 * @param weight [total * Dh] f32
 */
export function normAllHeads(
  stream: Stream,
  x: Tensor,
  weight: Tensor,
  { eps, headDim, heads, zeros, rankSum }: AllHeadsNorm,
): void {
  const { total, start, count, isCopy } = heads;
  if (count === total) {
    rmsNorm(stream, x, weight, { eps, out: x });
    return;
  }
  const [T, width] = [x.size(0), total * headDim];
  const all = stream.empty("f32", [T, width]);
  copy(stream, Tensor.strided(zeros!.memory, "f32", [T, width], [0, 1], zeros!.byteOffset), all);
  const own = (rows: Tensor) => rows.slice(1, start * headDim, (start + count) * headDim);
  if (!isCopy) cast(stream, x, "f32", { out: own(all) });
  rankSum!(stream, all);
  copy(stream, own(rmsNorm(stream, all, weight, { eps, dtype: x.dtype as FloatDType })), x);
}
