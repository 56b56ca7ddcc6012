/**
 * Contract: WARPLOOP_KERNEL names the kernels that GPU ops take, and a trace says which ones were passed over and why. On the
 * emulated GPU, which is a Hopper.
 */
import { afterEach, describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { native } from "../../lib/device/native.js";
import type { Stream } from "../../lib/device/stream.js";
import type { TraceRow } from "../../lib/device/trace.js";
import { DeviceError, ExecutionError } from "../../lib/errors.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { linear } from "../../lib/ops/linear.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);

function streamWith(device: Device, wish: string): Stream {
  return withEnvironment({ WARPLOOP_KERNEL: wish }, () => device.createStream());
}

/** What `run` made of its ops, by name. */
async function traced(wish: string, run: (stream: Stream) => void): Promise<ReadonlyMap<string, TraceRow>> {
  await using device = openTestDevice();
  const stream = streamWith(device, wish);
  const trace = stream.trace();
  run(stream);
  return new Map((await trace.end()).map((row) => [row.op, row]));
}

/** [T, 64] x [128, 64] in bf16. */
function product(stream: Stream, T = 1): void {
  linear(stream, stream.empty("bf16", [T, 64]), packLinear(stream, stream.empty("bf16", [128, 64])));
}

function flash(stream: Stream): void {
  const heads = stream.empty("bf16", [3, 2, 64]);
  flashAttention(stream, heads, heads, heads);
}

/** One query over 16 keys, with a plan made before. */
function paged(stream: Stream): void {
  const i32 = (...values: number[]) => stream.fromArray("i32", [values.length], Int32Array.from(values));
  const pages = stream.empty("bf16", [1, 16, 1, 64]);
  const [rows, cuSeqlensQ, contextLens] = [i32(0), i32(0, 1), i32(16)];
  const table = stream.fromArray("i32", [1, 1], Int32Array.of(0));
  const plan = attentionPlan(stream, table, rows, cuSeqlensQ, contextLens, {
    ...{ numQueries: 1, numHeads: 1, numKvHeads: 1, headDim: 64, pageSize: 16, dtype: "bf16" },
  });
  const q = stream.empty("bf16", [1, 1, 64]);
  pagedAttention(stream, q, pages, pages, table, rows, cuSeqlensQ, contextLens, { plan });
}

onSimt("a trace", () => {
  test("says why the kernels that an op prefers were passed over", async () => {
    const { kernel, refused } = (await traced("", product)).get("linear")!;
    expect(kernel).toBe("8x16");
    const reason = "few rows: the portable kernel streams the weights";
    const names = ["h128x256", "h128x128", "h64x128", "h128x128k2", "h128x128k4", "h128x128k8"];
    names.push("h64x128k2", "h64x128k4", "h64x128k8");
    expect(refused).toEqual(names.map((kernel) => ({ kernel, reason })));
  });

  test("names nothing where the first choice was taken, and of ops with one kernel", async () => {
    const rows = await traced("", (stream) => (flash(stream), product(stream)));
    expect(rows.get("flashAttention")).toMatchObject({ kernel: "hopper", refused: [] });
    expect(rows.get("packLinear")).toMatchObject({ kernel: "packLinear", refused: [] });
  });

  test("says of what was forced that it was", async () => {
    const { refused } = (await traced("linear:h64x128", product)).get("linear")!;
    expect(refused.map(({ kernel }) => kernel)).toEqual(["h128x256", "h128x128"]);
    expect(new Set(refused.map(({ reason }) => reason))).toEqual(new Set(["WARPLOOP_KERNEL names another"]));
  });
});

onSimt("linear of a decode step", () => {
  afterEach(() => native.runLastBlocks!(0));

  test.each([
    [16, 4096, 4096, "16x64"],
    [17, 4096, 4096, "h64x128k4"],
    [64, 4096, 4096, "h64x128k4"],
    [64, 12_288, 4096, "h64x128k4"],
    [128, 4096, 4096, "h128x128k4"],
    [128, 4096, 24_576, "h128x128k2"],
    [256, 4096, 4096, "h128x128k2"],
    [256, 4096, 24_576, "h128x256"],
    [64, 4096, 512, "64x64"],
    [8192, 4096, 4096, "h128x256"],
  ])("of %d rows, K = %d, N = %d is given to %s", async (T, K, N, expected) => {
    native.runLastBlocks!(1);
    const rows = await traced("", (stream) => {
      linear(stream, stream.empty("bf16", [T, K]), packLinear(stream, stream.empty("bf16", [N, K])));
    });
    expect(rows.get("linear")!.kernel).toBe(expected);
  });
});

onSimt("WARPLOOP_KERNEL", () => {
  test.each([
    ["linear:64x64", "64x64", "hopper"],
    ["linear:hopper", "h128x256", "hopper"],
    ["*:portable", "8x16", "tiles"],
    ["*:hopper", "h128x256", "hopper"],
    ["*:hopper,linear:unaligned", "unaligned", "hopper"],
    ["linear:portable,flashAttention:any", "8x16", "any"],
    [" linear: portable , flashAttention :any ", "8x16", "any"],
    ["  ", "8x16", "hopper"],
  ])("%s", async (wish, ofLinear, ofFlash) => {
    const rows = await traced(wish, (stream) => (product(stream), flash(stream)));
    expect(rows.get("linear")!.kernel).toBe(ofLinear);
    expect(rows.get("flashAttention")!.kernel).toBe(ofFlash);
  });

  test("of pagedAttention holds for its plan, too", async () => {
    const rows = await traced("pagedAttention:any", paged);
    expect(rows.get("attentionPlan")!.kernel).toBe("any");
    expect(rows.get("pagedAttention")!.kernel).toBe("any");
  });

  test("takes the best of a group that has several", async () => {
    const { kernel, refused } = (await traced("linear:hopper", (stream) => product(stream, 4096))).get(
      "linear",
    )!;
    expect(refused.every(({ reason }) => reason === "another tile needs fewer cycles")).toBe(true);
    const free = (await traced("", (stream) => product(stream, 4096))).get("linear")!;
    expect(kernel).toBe(free.kernel);
  });
});

onSimt("a wish that cannot be granted", () => {
  test.each([
    [
      "one that cannot run this",
      "linear:64x64",
      (stream: Stream) => {
        linear(stream, stream.empty("f32", [1, 64]), packLinear(stream, stream.empty("f32", [8, 64])));
      },
      /linear: WARPLOOP_KERNEL: the kernel 64x64 cannot run this: x is f32/,
    ],
    [
      "a group of which none can",
      "linear:hopper",
      (stream: Stream) => {
        linear(stream, stream.empty("f32", [1, 64]), packLinear(stream, stream.empty("f32", [8, 64])));
      },
      /the kernel h128x256 cannot run this: x and weight/,
    ],
  ] as const)("%s fails the op", async (_, wish, run, message) => {
    await using device = openTestDevice();
    const stream = streamWith(device, wish);
    run(stream);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
  });

  test.each([
    ["linear", "no kernel"],
    ["linear:", "no kernel"],
    [":any", "no op with a choice of kernels"],
    ["rmsNorm:any", "no op with a choice of kernels"],
    ["*:any", "no such group"],
    ["linear:f32,linear:64x64", "a second wish for the same op"],
    ["linear:f32,,", "no kernel"],
    ["linear:f32,", "no kernel"],
    [",linear:f32", "no kernel"],
    [",", "no kernel"],
    ["linear:  ", "no kernel"],
    ["linear:h1x1", '"linear:h1x1": no such kernel; expected one of h128x256, '],
    [
      "flashAttention:wide",
      "expected one of hopper, tiles, latents, any, or for the best of a group hopper or portable",
    ],
    ["indexerTopK:hopper", "no such kernel; expected one of mma, any, or for the best of a group portable"],
    ["linear:f32, pagedAttention:Any", "no such kernel"],
  ])("%j is refused when a stream is created", async (wish, problem) => {
    await using device = openTestDevice();
    expect(() => streamWith(device, wish)).toThrow(DeviceError);
    expect(() => streamWith(device, wish)).toThrow(problem);
  });
});
