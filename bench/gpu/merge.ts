/**
 * What attention's merge of spans costs by itself. It has no launch of its own: the block that comes last to a tile adds what the
 * others have left. So it is the difference of two calls that read the same keys in the same pieces: those of one sequence in spans,
 * which are merged, and those of as many sequences of one span each.
 */
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import type { Stream } from "../../lib/device/stream.js";
import { filled, spread } from "../support/inputs.js";
import type { GpuCase } from "./gpuCase.js";

interface MergeShape {
  readonly spans: number;
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
}

const dtype = "bf16";
const [pageSize, spanKeys] = [16, 128]; // of a sequence of up to 2048 keys

export function attentionMerge({ spans, ...heads }: MergeShape): GpuCase {
  const { Hq, Hkv, Dh } = heads;
  return {
    ...{ op: "attentionMerge", dtype, bytes: 0, flops: 0 },
    shape: `spans=${spans} x ${spanKeys} Lq=1 Hq=${Hq} Hkv=${Hkv} Dh=${Dh}`,
    setup: (stream) => decode(stream, heads, 1, spans * spanKeys),
    without: (stream) => decode(stream, heads, spans, spanKeys),
  };
}

/** B sequences of L keys, a query each, with a plan. */
function decode(
  stream: Stream,
  { Hq, Hkv, Dh }: Omit<MergeShape, "spans">,
  B: number,
  L: number,
): () => void {
  const pages = (B * L) / pageSize;
  const keys = (): ReturnType<typeof filled> => filled(stream, dtype, [pages, pageSize, Hkv, Dh]);
  const [q, k, v] = [filled(stream, dtype, [B, Hq, Dh]), keys(), keys()];
  const sequences = [
    spread(stream, pages, pages, 7).reshape([B, L / pageSize]),
    spread(stream, B, B),
    spread(stream, B + 1, B + 1),
    stream.fromArray("i32", [B], new Int32Array(B).fill(L)),
  ] as const;
  const sizes = { numQueries: B, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, pageSize, maxQueries: 1 };
  const plan = attentionPlan(stream, ...sequences, { ...sizes, dtype });
  return () => void pagedAttention(stream, q, k, v, ...sequences, { plan, maxQueries: 1 });
}
