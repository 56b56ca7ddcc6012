// Contract: a stream counts what has ended, one by one, also within a replay, and the count is read while the device works: it
// grows while commands go on and stands still while one runs.
import { expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { add } from "../../lib/ops/add.js";
import { linear } from "../../lib/ops/linear.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import type { Stream } from "../../lib/device/stream.js";
import { openTestDevice } from "../support/devices.js";

/** The counts that are seen, from turn to turn of the event loop, until `end`. */
async function watch(stream: Stream, end: Promise<unknown>): Promise<number[]> {
  let isOver = false;
  const settled = end.finally(() => (isOver = true));
  const seen = [stream.progress];
  while (!isOver) {
    await new Promise((resolve) => setImmediate(resolve));
    if (stream.progress !== seen.at(-1)) seen.push(stream.progress);
  }
  await settled;
  return seen;
}

/** Queues `count` products of some milliseconds each. */
function products(device: Device, stream: Stream, count: number): () => void {
  const T = device.name === "simt" ? 64 : 512;
  const x = stream.fromArray("f32", [T, 512], new Float32Array(T * 512).fill(1));
  const weight = packLinear(stream, stream.fromArray("f32", [512, 512], new Float32Array(512 * 512)));
  const out = device.empty("f32", [T, 512]);
  return () => {
    for (let i = 0; i < count; i++) linear(stream, x, weight, { out });
  };
}

test("grows while the commands of a stream go on", async () => {
  await using device = openTestDevice({ threads: 1 });
  const stream = device.createStream();
  const queue = products(device, stream, 40);
  await stream.synchronize();
  const before = stream.progress;
  queue();
  const seen = await watch(stream, stream.synchronize());
  expect(seen).toEqual([...seen].sort((a, b) => a - b));
  // A GPU tells when what is waited for is done; the worker has only handed it over before.
  if (device.name === "cpu") expect(seen.length).toBeGreaterThan(3);
  expect(seen.at(-1)! - before).toBeGreaterThanOrEqual(40);
});

test("grows within a replay", async () => {
  await using device = openTestDevice({ threads: 1 });
  const stream = device.createStream();
  const queue = products(device, stream, 40);
  const graph = stream.capture(queue);
  graph.replay(stream); // the first one on a GPU is no graph yet
  await stream.synchronize();
  const before = stream.progress;
  graph.replay(stream);
  const seen = await watch(stream, stream.synchronize());
  if (device.name === "cpu") expect(seen.length).toBeGreaterThan(3);
  expect(seen.at(-1)).toBeGreaterThan(before);
});

test("stands still while one command runs", async () => {
  await using device = openTestDevice({ threads: 1 });
  const stream = device.createStream();
  const size = device.name === "simt" ? 2 ** 20 : 2 ** 25;
  const x = stream.fromArray("f32", [size], new Float32Array(size));
  await stream.synchronize();
  const before = stream.progress;
  add(stream, x, x, { out: x });
  const seen = await watch(stream, x.slice(0, 0, 1).read(stream));
  // The one that is waited for before, the sum, the read; of those that are waited for a GPU reports the end, too.
  expect(seen.at(-1)! - before).toBeLessThanOrEqual(5);
});

test("keeps its last value when the stream has ended", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  await stream.synchronize();
  await stream.dispose();
  const last = stream.progress;
  expect(last).toBeGreaterThan(0);
  expect(stream.progress).toBe(last);
});
