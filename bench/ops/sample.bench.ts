/** npx tsx bench/ops/sample.bench.ts */
import { sample } from "../../lib/ops/sample.js";
import { bytesOf } from "../support/inputs.js";
import { normalLogits } from "../support/logits.js";
import { benchOp } from "../support/opBench.js";

const plain = { temperature: 1, topK: 0, topP: 1, minP: 0, repetition: 1 };
const V = 151936;
const L = 4096; // tokens that penalties look at

const cases = [
  { name: "greedy", B: 1, row: { ...plain, temperature: 0 } },
  { name: "plain", B: 1, row: plain },
  { name: "hot", B: 1, row: { ...plain, temperature: 5 } },
  { name: "topK", B: 1, row: { ...plain, topK: 50 } },
  { name: "topP", B: 1, row: { ...plain, topP: 0.9 } },
  { name: "minP", B: 1, row: { ...plain, minP: 0.05 } },
  { name: "topK topP", B: 1, row: { ...plain, temperature: 0.7, topK: 20, topP: 0.8 } },
  { name: "penalties", B: 1, row: { ...plain, repetition: 1.1 } },
  { name: "topK topP", B: 32, row: { ...plain, temperature: 0.7, topK: 20, topP: 0.8 } },
  { name: "topP", B: 32, row: { ...plain, topP: 0.9 } },
];

await benchOp(
  "sample",
  cases.map(({ name, B, row: { temperature, topK, topP, minP, repetition } }) => ({
    shape: `B=${B} V=${V} ${name}`,
    dtype: "f32",
    bytes: bytesOf("f32", B, V),
    setup: (stream) => {
      const rows = Array.from({ length: B }, (_, b) => b);
      const floats = rows.flatMap(() => [temperature, topP, minP, repetition, 0, 0]);
      const ints = rows.flatMap((b) => [topK, b, 0, b, 0, 0]);
      const logits = normalLogits(stream, "f32", B, V);
      const options = {
        floats: stream.fromArray("f32", [B, 6], Float32Array.from(floats)),
        ints: stream.fromArray("i32", [B, 6], Int32Array.from(ints)),
        positions: stream.fromArray("i32", [B], new Int32Array(B).fill(L)),
        tokenPool: stream.fromArray(
          "i32",
          [B, L],
          Int32Array.from({ length: B * L }, (_, i) => (i * 37) % V),
        ),
      };
      return () => sample(stream, logits, options);
    },
  })),
);
