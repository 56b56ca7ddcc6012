/**
 * How long the event loop was kept from turning while something ran: by the clock, which also runs while the operating system
 * gives the core to others, and in CPU time of this thread, which on a busy machine is the part that the process can help.
 */
import { openSync, readSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

export interface LoopDelay {
  readonly longestMs: number;
  readonly p99Ms: number;
  /** Most CPU time between two ticks of a timer; undefined where the system does not tell. */
  readonly longestCpuMs: number | undefined;
  readonly tookMs: number;
}

const settleMs = 50; // the monitor needs a tick before it sees a block
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

export async function delayDuring(work: () => Promise<unknown>): Promise<LoopDelay> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, settleMs));
  // Prompts and lists that were just made for the bench are not for the work to move.
  for (let i = 0; i < 2; i++) collectGarbage();
  delay.enable();
  await settle();
  delay.reset();
  await settle();
  const cpu = watchCpu();
  const start = performance.now();
  await work();
  const tookMs = performance.now() - start;
  await settle();
  delay.disable();
  return {
    longestMs: delay.max / 1e6,
    p99Ms: delay.percentile(99) / 1e6,
    longestCpuMs: cpu.longestMs(),
    tookMs,
  };
}

/** @returns ends the watch and gives the most CPU time of this thread between two ticks */
function watchCpu(): { readonly longestMs: () => number | undefined } {
  const cpuMs = openCpuTime();
  if (cpuMs === undefined) return { longestMs: () => undefined };
  let [longest, last] = [0, cpuMs()];
  let timer: NodeJS.Timeout;
  const tick = (): void => {
    const now = cpuMs();
    longest = Math.max(longest, now - last);
    last = now;
    timer = setTimeout(tick, 1);
  };
  timer = setTimeout(tick, 1);
  const longestMs = (): number => {
    clearTimeout(timer);
    return longest;
  };
  return { longestMs };
}

/** CPU time of this thread in ms, counted in ticks of the system of up to 4 ms; undefined without Linux's schedstat. */
function openCpuTime(): (() => number) | undefined {
  try {
    const file = openSync("/proc/thread-self/schedstat", "r");
    const bytes = Buffer.alloc(64);
    return () => parseInt(bytes.toString("latin1", 0, readSync(file, bytes, 0, bytes.length, 0)), 10) / 1e6;
  } catch {
    return undefined;
  }
}
