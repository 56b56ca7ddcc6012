/** Decides whether a process leaks: resident memory against the number of finished requests, after a warm-up. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export interface MemorySample {
  readonly requests: number;
  readonly megabytes: number;
}

export interface MemoryTrend {
  /** MB per 1000 requests, least squares. */
  readonly slope: number;
  /** Half the width of its 95 % interval. */
  readonly uncertainty: number;
  readonly samples: number;
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Resident memory after a garbage collection: what is waiting to be collected is no leak, and hides one. */
export function residentMegabytes(): number {
  collectGarbage();
  return process.memoryUsage.rss() / 2 ** 20;
}

/** @param warmUp samples of fewer requests do not count */
export function memoryTrend(samples: readonly MemorySample[], warmUp: number): MemoryTrend {
  const used = samples.filter(({ requests }) => requests >= warmUp);
  const count = used.length;
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / count;
  const x = used.map(({ requests }) => requests / 1000);
  const y = used.map(({ megabytes }) => megabytes);
  const [meanX, meanY] = [mean(x), mean(y)];
  const spread = x.reduce((sum, value) => sum + (value - meanX) ** 2, 0);
  const slope = x.reduce((sum, value, i) => sum + (value - meanX) * (y[i]! - meanY), 0) / spread;
  const residue = y.reduce((sum, value, i) => sum + (value - meanY - slope * (x[i]! - meanX)) ** 2, 0);
  return { slope, uncertainty: 2 * Math.sqrt(residue / (count - 2) / spread), samples: count };
}
