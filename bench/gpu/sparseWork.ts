/** The pieces of work of sparse attention behind bench:gpu's cases; see work.ts. */
import { indexerTopK as indexerTopKOp } from "../../lib/ops/indexerTopK.js";
import { filled, spread } from "../support/inputs.js";
import type { GpuCase, Marks } from "./gpuCase.js";
import { copiesOf, inTurn } from "./work.js";

const dtype = "bf16";
const size = 2; // bytes of an element
const pageSize = 64; // of latents, whose pages the keys share

interface IndexerShape {
  readonly B: number;
  readonly Lq: number;
  readonly L: number;
  readonly Hi: number;
  readonly Di: number;
  readonly topK: number;
}

/** B sequences of L tokens in scattered pages, the last Lq of which are queries. */
export function indexerTopK({ B, Lq, L, Hi, Di, topK }: IndexerShape, marks?: Marks): GpuCase {
  const pages = L / pageSize;
  const keyBytes = size * B * L * Di;
  return {
    marks,
    ...{ op: "indexerTopK", shape: `B=${B} Lq=${Lq} L=${L} Hi=${Hi} Di=${Di} topK=${topK}`, dtype },
    bytes: keyBytes + B * Lq * (size * Hi * Di + 4 * Hi + 4 * topK),
    flops: 2 * Hi * Di * B * (Lq * L - (Lq * (Lq - 1)) / 2),
    setup: (stream) => {
      const [q, weights] = [filled(stream, dtype, [B * Lq, Hi, Di]), filled(stream, "f32", [B * Lq, Hi])];
      const table = spread(stream, B * pages, B * pages, 7).reshape([B, pages]);
      const [rows, cu] = [spread(stream, B, B), spread(stream, B + 1, B * Lq + 1, Lq)];
      const lengths = stream.fromArray("i32", [B], new Int32Array(B).fill(L));
      const calls = Array.from({ length: copiesOf(keyBytes) }, () => {
        const keys = filled(stream, dtype, [B * pages, pageSize, Di]);
        return () => void indexerTopKOp(stream, q, weights, keys, table, rows, cu, lengths, { topK });
      });
      return inTurn(calls);
    },
  };
}
