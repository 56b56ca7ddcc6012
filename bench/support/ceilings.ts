/** What the machine can do, measured with the two simplest ops that come close to it: the yardstick of every op bench. */
import type { Device } from "../../lib/device/device.js";
import { argmax } from "../../lib/ops/argmax.js";
import { copy } from "../../lib/ops/copy.js";
import { linear } from "../../lib/ops/linear.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { filled } from "./inputs.js";
import { onStream, time } from "./timing.js";

export interface Ceilings {
  /** GB/s between the cores and memory. */
  readonly memory: number;
  readonly memorySource: string;
  /** GFLOP/s, a multiply-add counted as two. */
  readonly arithmetic: number;
  readonly arithmeticSource: string;
}

const words = 64 << 20; // f32; 256 MiB leave no cache in the way
const [T, N] = [256, 2048]; // a linear layer that is reused enough to be limited by arithmetic

/** GB/s of the largest plain read: what decoding one sequence, which reads all weights for each token, cannot exceed. */
export function measureReading(device: Device): Promise<number> {
  return onStream(device, async (stream) => {
    const values = stream.fromArray("f32", [64, words / 64], new Float32Array(words).fill(1));
    const { leastUs } = await time(stream, () => argmax(stream, values));
    return (4 * words) / leastUs / 1000;
  });
}

/** The better of a copy and of a reduction for memory, and a large linear layer for arithmetic. */
export async function measureCeilings(device: Device): Promise<Ceilings> {
  const { copied, read } = await onStream(device, async (stream) => {
    const [a, b] = [stream.empty("f32", [64, words / 64]), stream.empty("f32", [64, words / 64])];
    copy(stream, a, b); // fresh memory is one shared page of zeros until it is written
    copy(stream, b, a);
    const copying = await time(stream, () => copy(stream, a, b));
    const reading = await time(stream, () => argmax(stream, a));
    return { copied: (2 * 4 * words) / copying.leastUs / 1000, read: (4 * words) / reading.leastUs / 1000 };
  });
  const arithmetic = await onStream(device, async (stream) => {
    const weight = packLinear(stream, filled(stream, "bf16", [N, N]));
    const x = filled(stream, "bf16", [T, N]);
    const { leastUs } = await time(stream, () => linear(stream, x, weight));
    await stream.synchronize();
    weight.dispose();
    return (2 * T * N * N) / leastUs / 1000;
  });
  return {
    memory: Math.max(copied, read),
    memorySource: copied > read ? "copy of 256 MiB, read and written" : "argmax over 256 MiB, read",
    arithmetic,
    arithmeticSource: `linear T=${T} N=${N} K=${N} bf16`,
  };
}
