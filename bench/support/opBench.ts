/**
 * Times ops and prints one table: op, shape, dtype, time, rate, share of what this machine can do. The machine's
 * ceilings are measured in the same run, with the same clock (timing.ts).
 */
import { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { type Ceilings, measureCeilings } from "./ceilings.js";
import { onStream, time, type Timing } from "./timing.js";

export interface OpBenchCase {
  /** As printed, in glossary letters: "T=8 D=4096". */
  readonly shape: string;
  readonly dtype: string;
  /** Bytes that one call reads and writes, each tensor once. */
  readonly bytes: number;
  /** Floating point operations of one call, where arithmetic can be the limit. A multiply-add counts two. */
  readonly flops?: number;
  /** Makes the inputs; the result queues one call. Results come from the stream's scope, so `out` is not needed. */
  readonly setup: (stream: Stream) => () => void;
}

let opened: Promise<{ readonly device: Device; readonly ceilings: Ceilings }> | undefined;

/** Times every case and prints its row. Several calls in one process share the device, the ceilings and the heading. */
export async function benchOp(op: string, cases: readonly OpBenchCase[]): Promise<void> {
  opened ??= open();
  const { device, ceilings } = await opened;
  for (const testCase of cases) {
    const timing = await onStream(device, (stream) => time(stream, testCase.setup(stream)));
    console.log(row(op, testCase, timing, ceilings));
  }
}

async function open(): Promise<{ readonly device: Device; readonly ceilings: Ceilings }> {
  const device = Device.open("cpu");
  const ceilings = await measureCeilings(device);
  console.log(`${device.name}, ${device.isa}, ${device.threads} threads`);
  console.log(`ceilings: ${ceilings.memory.toFixed(1)} GB/s (${ceilings.memorySource})`);
  console.log(`          ${ceilings.arithmetic.toFixed(0)} GFLOP/s (${ceilings.arithmeticSource})`);
  console.log("A share above 100 % of the memory ceiling: the tensors fit in the caches.\n");
  console.log(columns("op", "shape", "dtype", "median us", "least us", "rate", "ceiling"));
  return { device, ceilings };
}

function row(
  op: string,
  { shape, dtype, bytes, flops = 0 }: OpBenchCase,
  timing: Timing,
  ceilings: Ceilings,
): string {
  const gigabytes = bytes / timing.medianUs / 1000;
  const gigaflops = flops / timing.medianUs / 1000;
  const [memoryShare, arithmeticShare] = [gigabytes / ceilings.memory, gigaflops / ceilings.arithmetic];
  const byArithmetic = arithmeticShare > memoryShare; // the limit that the call is closer to
  const rate = byArithmetic ? `${gigaflops.toFixed(1)} GFLOP/s` : `${gigabytes.toFixed(1)} GB/s`;
  const share = `${(100 * Math.max(memoryShare, arithmeticShare)).toFixed(0)} %`;
  return columns(op, shape, dtype, timing.medianUs.toFixed(2), timing.leastUs.toFixed(2), rate, share);
}

function columns(...[op, shape, dtype, middle, least, rate, share]: readonly [...string[]]): string {
  const left = `${op!.padEnd(16)} ${shape!.padEnd(34)} ${dtype!.padEnd(13)}`;
  return `${left} ${middle!.padStart(12)} ${least!.padStart(12)} ${rate!.padStart(15)} ${share!.padStart(9)}`;
}
