/** groupedLinear at the shapes of a small mixture: 64 experts, 8 per token, decode and prompt; with biases and clamp as gpt-oss has them. */
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import type { SwigluClamp } from "../../lib/ops/siluMul.js";
import { emptyGroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import { filled } from "../support/inputs.js";
import { benchOp, type OpBenchCase } from "../support/opBench.js";

const [E, topK, D, F] = [64, 8, 1024, 384];

function testCase(T: number, clamp?: SwigluClamp): OpBenchCase {
  const M = T * topK;
  const touched = Math.min(E, M); // experts that have rows when they are chosen evenly
  return {
    shape: `T=${T} E=${E} topK=${topK} K=${D} N=2x${F} swiglu${clamp ? ", biases, clamped" : ""}`,
    dtype: "bf16",
    bytes: 2 * (T * D + touched * 2 * F * D + M * F),
    flops: 2 * M * 2 * F * D,
    setup(stream) {
      const weight = emptyGroupedWeight(stream, {
        experts: E,
        outputs: 2 * F,
        inputs: D,
        dtype: "bf16",
        swiglu: true,
      });
      const expert = filled(stream, "bf16", [2 * F, D]);
      for (let e = 0; e < E; e++) packExpert(stream, weight, e, expert);
      const x = filled(stream, "bf16", [T, D]);
      const offsets = Int32Array.from({ length: E + 1 }, (_, e) => Math.round((e * M) / E));
      const order = Int32Array.from({ length: M }, (_, r) => (r * topK + Math.floor((r * topK) / M)) % M);
      const device = {
        offsets: stream.fromArray("i32", [E + 1], offsets),
        order: stream.fromArray("i32", [M], order),
      };
      const bias = clamp && filled(stream, "f32", [E, 2 * F]);
      return () =>
        groupedLinear(stream, x, weight, device.offsets, { order: device.order, topK, bias, clamp });
    },
  };
}

await benchOp("groupedLinear", [
  ...[1, 4, 64, 512].map((T) => testCase(T)),
  ...[1, 512].map((T) => testCase(T, { limit: 7, alpha: 1.702 })),
]);
