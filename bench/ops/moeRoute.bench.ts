/** npx tsx bench/ops/moeRoute.bench.ts */
import { moeRoute } from "../../lib/ops/moeRoute.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp } from "../support/opBench.js";

const mixtral = { E: 8, topK: 2, scores: "softmax", renormalize: true } as const;
const qwen3 = { E: 128, topK: 8, scores: "softmax", renormalize: true } as const;
const deepSeek = { E: 256, topK: 8, scores: "sigmoid", renormalize: true, groups: 8, topGroups: 4 } as const;

const cases = [
  { model: "mixtral", T: 1, options: mixtral },
  { model: "mixtral", T: 4096, options: mixtral },
  { model: "qwen3", T: 1, options: qwen3 },
  { model: "qwen3", T: 4096, options: qwen3 },
  { model: "deepseek", T: 1, options: deepSeek },
  { model: "deepseek", T: 4096, options: deepSeek },
];

await benchOp(
  "moeRoute",
  cases.map(({ model, T, options }) => ({
    shape: `T=${T} E=${options.E} K=${options.topK} ${model}`,
    dtype: "f32",
    bytes: bytesOf("f32", T, options.E) + 2 * bytesOf("f32", T, options.topK),
    setup: (stream) => {
      const logits = filled(stream, "f32", [T, options.E]);
      return () => moeRoute(stream, logits, options);
    },
  })),
);
