/**
 * What a rank computes of a model. The one place where heads, experts and layers of a shard are counted; widths of matrices are
 * those of its weights.
 */
import { ArgumentTypeError } from "../errors.js";
import type { HeadShare } from "../nn/allHeadsNorm.js";
import type { RankSums } from "../nn/part.js";
import type { Range } from "../weights/rowView.js";
import { keyHeadsOf, rangeOf, type Shard } from "../weights/shard.js";
import type { ArchitectureShape } from "./model.js";

/** Of a rank; `ArchitectureShape` has the numbers of the whole model. */
export interface RankShape {
  readonly numHeads: number;
  /** Of fewer key heads than ranks, neighbours have copies. */
  readonly numKvHeads: number;
  /** Where they stand among those of all ranks. */
  readonly heads: { readonly q: HeadShare; readonly k: HeadShare };
  /** Undefined: all of them, or a dense model. */
  readonly experts: Range | undefined;
  readonly layers: Range;
  /** It has the first layer, and so what is in front of it; the last, and what is behind it. */
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly sums: RankSums | undefined;
}

/** @throws ArgumentRangeError if it cannot be divided so; ArgumentTypeError if ranks have no sum */
export function rankShape(
  { numHeads, numKvHeads, numExperts, numLayers }: ArchitectureShape,
  { shard, sums }: { readonly shard: Shard; readonly sums?: RankSums | undefined },
): RankShape {
  const { tp, ep, layers = { start: 0, count: numLayers } } = shard;
  for (const axis of ["tp", "ep"] as const) {
    if (shard[axis].size === 1 || sums?.[axis]) continue;
    throw new ArgumentTypeError(`build: sums: expected one for the ${shard[axis].size} ranks of ${axis}`);
  }
  const q = rangeOf("query heads", numHeads, tp);
  const k = keyHeadsOf("key heads", numKvHeads, tp);
  return {
    numHeads: q.count,
    numKvHeads: k.count,
    heads: {
      q: { ...q, total: numHeads, isCopy: false },
      k: { ...k, total: numKvHeads, isCopy: tp.rank % (tp.size / (numKvHeads / k.count)) > 0 },
    },
    experts: ep.size > 1 && numExperts > 0 ? rangeOf("experts", numExperts, ep) : undefined,
    layers,
    isFirst: layers.start === 0,
    isLast: layers.start + layers.count === numLayers,
    sums,
  };
}
