/**
 * Causal attention of one sequence, L = 512 to 8192. Memory must not grow with L * L: the first lines say how much
 * the resident set grows in the first call (the kernel's workspaces), beside what a matrix of scores would take.
 *
 *     npx tsx bench/ops/flashAttention.bench.ts
 */
import { Device } from "../../lib/device/device.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import type { Stream } from "../../lib/device/stream.js";
import { bytesOf, filled } from "../support/inputs.js";
import { benchOp, type OpBenchCase } from "../support/opBench.js";

const mebibyte = 2 ** 20;

/** Prints what one call adds to the resident set. */
async function printMemory(L: number): Promise<void> {
  const [Hq, Hkv, Dh] = [16, 8, 128];
  const device = Device.open("cpu");
  const stream = device.createStream();
  const make = (heads: number) => filled(stream, "bf16", [L, heads, Dh]);
  const [q, k, v, out] = [make(Hq), make(Hkv), make(Hkv), make(Hq)];
  await stream.synchronize();
  const before = process.memoryUsage.rss();
  flashAttention(stream, q, k, v, { out });
  await stream.synchronize();
  const grown = (process.memoryUsage.rss() - before) / mebibyte;
  const scores = (4 * L * L * Hq) / mebibyte;
  console.log(
    `L=${L}: the first call grows the resident set by ${grown.toFixed(1)} MiB; scores: ${scores} MiB`,
  );
  await device.dispose();
}

function testCase(L: number, Dh: number, dtype: "bf16" | "f16" | "f32"): OpBenchCase {
  const [Hq, Hkv] = [16, 8];
  return {
    shape: `L=${L} Hq=${Hq} Hkv=${Hkv} Dh=${Dh}`,
    dtype,
    bytes: 2 * bytesOf(dtype, L, Hq + Hkv, Dh),
    flops: 4 * Dh * Hq * ((L * (L + 1)) / 2),
    setup: (stream: Stream) => {
      const make = (heads: number) => filled(stream, dtype, [L, heads, Dh]);
      const [q, k, v] = [make(Hq), make(Hkv), make(Hkv)];
      return () => flashAttention(stream, q, k, v);
    },
  };
}

for (const L of [512, 8192]) await printMemory(L);
await benchOp("flashAttention", [
  ...[512, 1024, 2048, 4096, 8192].map((L) => testCase(L, 128, "bf16")),
  testCase(2048, 64, "bf16"),
  testCase(2048, 128, "f16"),
  testCase(2048, 128, "f32"),
]);
