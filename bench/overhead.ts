/**
 * What one op call costs besides the work of its kernel: enqueueing from JavaScript, and replaying from a graph. The op
 * is the smallest there is, so the replay figure is an upper bound: it includes the kernel.
 *
 *     npx tsx bench/overhead.ts
 */
import { Device } from "../lib/device/device.js";
import { rmsNorm } from "../lib/ops/rmsNorm.js";
import type { Stream } from "../lib/device/stream.js";
import { benchArgs } from "./support/benchArgs.js";
import { median } from "./support/statistics.js";

benchArgs(import.meta.url, {});

const calls = 200_000;
const batches = 20;

/** Median and least nanoseconds per call over the batches; waits for the worker between them, outside the time. */
async function perCall(
  stream: Stream,
  body: (callsPerBatch: number) => void | Promise<void>,
): Promise<string> {
  const times: number[] = [];
  for (let i = 0; i < batches; i++) {
    const start = process.hrtime.bigint();
    await body(calls / batches);
    times.push(Number(process.hrtime.bigint() - start) / (calls / batches));
    await stream.synchronize();
  }
  return `${median(times).toFixed(0)} ns (least ${Math.min(...times).toFixed(0)} ns)`;
}

const device = Device.open("cpu");
const stream = device.createStream();
const x = stream.fromArray("f32", [1, 64], new Float32Array(64).fill(1));
const weight = stream.fromArray("f32", [64], new Float32Array(64).fill(1));
const out = stream.empty("f32", [1, 64]);

const enqueue = (count: number): void => {
  for (let i = 0; i < count; i++) rmsNorm(stream, x, weight, { out });
};
const enqueueFromArena = (count: number): void => {
  for (let i = 0; i < count; i++) {
    const scope = stream.scope();
    rmsNorm(stream, x, weight);
    scope.close();
  }
};

console.log(`rmsNorm [1, 64] f32 on ${device.name} (${device.isa}, ${device.threads} threads)`);
console.log(`enqueue, out given:       ${await perCall(stream, enqueue)}`);
console.log(`enqueue, out from arena:  ${await perCall(stream, enqueueFromArena)}`);

const graph = stream.capture(() => enqueue(calls / batches));
const replay = async (): Promise<void> => {
  graph.replay(stream);
  await stream.synchronize();
};
console.log(`replay, kernel included:  ${await perCall(stream, replay)}`);
graph.dispose();
await device.dispose();
