/** The pieces of work of mixtures of experts behind bench:gpu's cases; see work.ts. */
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { moeCount as moeCountOp } from "../../lib/ops/moeCount.js";
import { emptyGroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import type { SwigluClamp } from "../../lib/ops/siluMul.js";
import { filled, spread } from "../support/inputs.js";
import type { GpuCase, Marks } from "./gpuCase.js";
import { copiesOf, inTurn } from "./work.js";

const dtype = "bf16";
const size = 2; // bytes of an element

/** Up projection of a mixture with gathered rows and SwiGLU; tokens are spread evenly over the experts. */
export function experts(
  {
    T,
    E,
    topK,
    D,
    F,
    clamp,
  }: { T: number; E: number; topK: number; D: number; F: number; clamp?: SwigluClamp },
  marks?: Marks,
): GpuCase {
  const M = T * topK;
  const touched = Math.min(E, M);
  const copies = copiesOf(size * touched * 2 * F * D);
  return {
    op: "groupedLinear",
    shape: `T=${T} E=${E} topK=${topK} K=${D} N=2x${F} swiglu${clamp ? ", biases, clamped" : ""}`,
    dtype,
    bytes: size * (T * D + touched * 2 * F * D + M * F),
    flops: 2 * M * 2 * F * D,
    marks,
    setup: (stream) => {
      const x = filled(stream, dtype, [T, D]);
      const expert = filled(stream, dtype, [2 * F, D]);
      const starts = Int32Array.from({ length: E + 1 }, (_, e) => Math.round((e * M) / E));
      const offsets = stream.fromArray("i32", [E + 1], starts);
      const order = spread(stream, M, M, topK + 1);
      const bias = clamp && filled(stream, "f32", [E, 2 * F]);
      const calls = Array.from({ length: copies }, () => {
        const shape = { experts: E, outputs: 2 * F, inputs: D, dtype, swiglu: true } as const;
        const weight = emptyGroupedWeight(stream, shape);
        for (let e = 0; e < E; e++) packExpert(stream, weight, e, expert);
        return () => void groupedLinear(stream, x, weight, offsets, { order, topK, bias, clamp });
      });
      return inTurn(calls);
    },
    baseline: { kind: "grouped_mm", dtype, T, M, E, K: D, N: 2 * F, swiglu: true, copies },
  };
}

/** Latency, no bytes to speak of: a step that counts has one for each layer with experts. */
export function moeCount({ T, E, topK }: { T: number; E: number; topK: number }): GpuCase {
  return {
    ...{ op: "moeCount", shape: `T=${T} E=${E} topK=${topK}`, dtype: "i32", bytes: 0, flops: 0 },
    setup: (stream) => {
      const chosen = spread(stream, T * topK, E, 7).reshape([T, topK]);
      const slots = spread(stream, T, T, 3);
      const counts = stream.fromArray("i32", [E, 2], new Int32Array(2 * E));
      return () => moeCountOp(stream, chosen, counts, { slots });
    },
  };
}
