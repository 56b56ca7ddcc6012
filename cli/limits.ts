/** What a machine can do at most, as far as plain ops come close to it: the yardstick of `warploop bench`. */
import { Device, type DeviceName, ops, type Stream, toBfloat16 } from "../lib/index.js";

export interface Limits {
  /** Bytes per second of the largest plain read. */
  readonly bytesPerSecond: number;
  /** Multiply-adds, counted as two, per second of a product that is reused enough to be limited by arithmetic. */
  readonly flopsPerSecond: number;
}

const words = 64 << 20; // f32; 256 MiB leave no cache in the way
const rows = 64;
const [T, N] = [256, 2048];
const repeats = 5;

/** @param threads of the CPU */
export async function measureLimits(name: DeviceName, threads: number | undefined): Promise<Limits> {
  await using device = Device.open(name, threads ? { threads } : {});
  const stream = device.createStream();
  using _scope = stream.scope();
  const values = stream.fromArray("f32", [rows, words / rows], new Float32Array(words).fill(1));
  const readMs = await leastMs(stream, 2, () => ops.argmax(stream, values));
  const random = (size: number) =>
    toBfloat16(Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 17) - 8));
  const x = stream.fromArray("bf16", [T, N], random(T * N));
  const weight = ops.packLinear(stream, stream.fromArray("bf16", [N, N], random(N * N)));
  const productMs = await leastMs(stream, 8, () => ops.linear(stream, x, weight));
  weight.dispose();
  return {
    bytesPerSecond: (1000 * 4 * words) / readMs,
    flopsPerSecond: (1000 * 2 * T * N * N) / productMs,
  };
}

/** Milliseconds of a call, of which so many run at a time. */
async function leastMs(stream: Stream, calls: number, call: () => void): Promise<number> {
  let least = Infinity;
  for (let repeat = 0; repeat <= repeats; repeat++) {
    const start = performance.now();
    for (let i = 0; i < calls; i++) {
      using _temporaries = stream.scope();
      call();
    }
    await stream.synchronize();
    if (repeat > 0) least = Math.min(least, (performance.now() - start) / calls); // the first touches the memory
  }
  return least;
}
