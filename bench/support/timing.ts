/**
 * How long a call takes on a device: a graph of n calls, one replay and one wait, divided by n. That is the time of the
 * kernel as a decode step replays it; what a call from JavaScript adds is bench/overhead.ts's subject.
 */
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { median } from "./statistics.js";

/** Microseconds per call. */
export interface Timing {
  readonly medianUs: number;
  readonly leastUs: number;
}

const cpuBatchMs = 5;
const mostCalls = 4096; // recorded in one graph
const budgetMs = 300; // for the repetitions of one case
const leastBatches = 5;

/** Median and least time of a call. @param batchMs about how long one replay takes; the wait for it should not count */
export async function time(stream: Stream, call: () => void, batchMs = cpuBatchMs): Promise<Timing> {
  let count = 1;
  let times = await replays(stream, call, count, 2); // the first touches the memory
  while (times.at(-1)! * count < batchMs * 1000 && count < mostCalls) {
    count = Math.min(mostCalls, count * 4);
    times = await replays(stream, call, count, 1);
  }
  const batches = Math.ceil((budgetMs * 1000) / (times.at(-1)! * count));
  times = await replays(stream, call, count, Math.max(leastBatches, batches));
  return { medianUs: median(times), leastUs: Math.min(...times) };
}

/** Runs `body` on a stream of its own, with an open scope. */
export async function onStream<Result>(
  device: Device,
  body: (stream: Stream) => Promise<Result>,
): Promise<Result> {
  const stream = device.createStream();
  const scope = stream.scope();
  try {
    return await body(stream);
  } finally {
    scope.close();
    await stream.dispose();
  }
}

/** Microseconds per call of `batches` replays of a graph with `count` calls. */
async function replays(stream: Stream, call: () => void, count: number, batches: number): Promise<number[]> {
  const graph = stream.capture(() => {
    for (let i = 0; i < count; i++) {
      const scope = stream.scope();
      try {
        call();
      } finally {
        scope.close(); // the error is the call's, not that of a scope left open
      }
    }
  });
  await stream.synchronize();
  const times: number[] = [];
  for (let i = 0; i < batches; i++) {
    const start = performance.now();
    graph.replay(stream);
    await stream.synchronize();
    times.push(((performance.now() - start) * 1000) / count);
  }
  graph.dispose();
  return times;
}
