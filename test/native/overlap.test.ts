/**
 * Contract: kernels that may start before their predecessor has ended (WARPLOOP_PDL=1, the default) give the bits of those that
 * may not, in a chain of ops where each one needs what the one before has written, its weight included, and in replays of a
 * graph of it.
 */
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { DeviceError } from "../../lib/errors.js";
import { argmax } from "../../lib/ops/argmax.js";
import { cast } from "../../lib/ops/cast.js";
import { linear } from "../../lib/ops/linear.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);

/** Values between -1 and 1 that differ from one another. */
function values(count: number, step: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(step * i));
}

/** x is normalised, multiplied with a weight that has been packed just before, and the largest element found. */
async function chain(overlap: string): Promise<{ out: Float32Array; best: Int32Array }> {
  await using device = openTestDevice();
  const stream = withEnvironment({ WARPLOOP_PDL: overlap }, () => device.createStream());
  const [T, K, N] = [3, 64, 128];
  const x = stream.fromArray("f32", [T, K], values(T * K, 0.7));
  const gain = stream.fromArray("f32", [K], values(K, 1.3));
  const rows = stream.fromArray("f32", [N, K], values(N * K, 0.31));
  const out = stream.empty("f32", [T, N]);
  const best = stream.empty("i32", [T]);
  const run = (to: Stream): void => {
    const weight = packLinear(to, cast(to, rows, "bf16"));
    const normed: Tensor = rmsNorm(to, cast(to, x, "bf16"), gain, { eps: 1e-6 });
    linear(to, normed, weight, { out });
    argmax(to, out, { out: best });
  };
  const graph = stream.capture(() => run(stream));
  for (let replay = 0; replay < 3; replay++) graph.replay(stream);
  return { out: (await out.read(stream)) as Float32Array, best: (await best.read(stream)) as Int32Array };
}

onSimt("WARPLOOP_PDL", () => {
  test("changes no bit, in replays of a graph either", async () => {
    const [with_, without] = [await chain("1"), await chain("0")];
    expect(with_).toEqual(without);
    expect(with_.out.every(Number.isFinite)).toBe(true);
  });

  test("is 0 or 1", () => {
    const device = openTestDevice();
    expect(() => withEnvironment({ WARPLOOP_PDL: "yes" }, () => device.createStream())).toThrow(DeviceError);
    expect(() => withEnvironment({ WARPLOOP_PDL: "yes" }, () => device.createStream())).toThrow(
      'WARPLOOP_PDL: expected 0 or 1, got "yes"',
    );
  });
});
