// Contract: a trace has one row for each command that a stream runs while it is open, in order: ops under their names and with the
// kernel that they chose, copies with their bytes, also those of replays; nothing before it and nothing after it. Its memory is
// bounded, what had no room is counted, and errors are typed.
import { describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { native } from "../../lib/device/native.js";
import { add } from "../../lib/ops/add.js";
import { embedding } from "../../lib/ops/embedding.js";
import { linear } from "../../lib/ops/linear.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Trace, TraceRow } from "../../lib/device/trace.js";
import { openTestDevice } from "../support/devices.js";

const names = (rows: readonly TraceRow[]): string[] => rows.map(({ op }) => op);

/** Three ops on tensors that exist already; `linear` has several kernels on a GPU. */
function threeOps(device: Device, stream: Stream): () => void {
  const x = stream.fromArray("bf16", [4, 64], new Uint16Array(256).fill(0x3f80));
  const weight = packLinear(stream, stream.fromArray("bf16", [32, 64], new Uint16Array(2048).fill(0x3f80)));
  const norm = stream.fromArray("f32", [32], new Float32Array(32).fill(1));
  const [y, z] = [device.empty("f32", [4, 32]), device.empty("f32", [4, 32])];
  return () => {
    linear(stream, x, weight, { dtype: "f32", out: y });
    rmsNorm(stream, y, norm, { out: z });
    add(stream, y, z, { out: z });
  };
}
const opNames = ["linear", "rmsNorm", "add"];

function traceThreeOpsAndACopy(device: Device): Trace {
  const stream = device.createStream();
  const run = threeOps(device, stream);
  const trace = stream.trace();
  run();
  device.empty("f32", [2]).write(stream, new Float32Array(2));
  return trace;
}

function expectOrder(rows: readonly TraceRow[]): void {
  let end = 0;
  for (const { start, duration } of rows) {
    expect(duration).toBeGreaterThanOrEqual(0);
    expect(start).toBeGreaterThanOrEqual(end);
    end = start + duration;
  }
}

describe("rows", () => {
  test("are the commands between begin and end, in order", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    run(); // before
    await stream.synchronize();
    const begin = performance.now();
    const trace = stream.trace();
    run();
    run();
    const ending = trace.end();
    run(); // after
    const rows = await ending;
    const span = (performance.now() - begin) * 1000;
    expect(names(rows)).toEqual([...opNames, ...opNames]);
    expect(rows.every(({ bytes, launches }) => bytes === 0 && launches >= 1)).toBe(true);
    expectOrder(rows);
    expect(rows[0]!.start).toBeGreaterThanOrEqual(0);
    expect(rows.reduce((sum, { duration }) => sum + duration, 0)).toBeLessThanOrEqual(span);
    expect(rows.reduce((sum, { duration }) => sum + duration, 0)).toBeGreaterThan(0);
    expect(trace.missed).toBe(0);
    expect(await trace.end()).toBe(rows);
  });

  test("of a long trace do not overlap", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    const trace = stream.trace();
    for (let i = 0; i < 500; i++) run();
    const rows = await trace.end();
    expect(rows.length).toBe(1500);
    expectOrder(rows);
  });

  test("name the kernel that the op chose, and the op where it has one", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    const trace = stream.trace();
    run();
    const rows = await trace.end();
    const product = device.name === "cpu" ? "linear" : "8x16";
    expect(rows.map(({ kernel }) => kernel)).toEqual([product, "rmsNorm", "add"]);
  });

  test("name the tensors of an op, and none of a copy", async () => {
    await using device = openTestDevice();
    const trace = traceThreeOpsAndACopy(device);
    expect((await trace.end()).map(({ tensors }) => tensors)).toEqual([
      "weight [1, 32, 64] bf16, x [4, 64] bf16, out [4, 32] f32",
      "x [4, 32] f32, weight [32] f32, out [4, 32] f32",
      "a [4, 32] f32, b [4, 32] f32, out [4, 32] f32",
      "",
    ]);
  });

  test("count the kernels of an op that launches several", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const i32 = (...values: number[]) => stream.fromArray("i32", [values.length], Int32Array.from(values));
    const [q, k] = [
      stream.fromArray("f32", [1, 2, 32], new Float32Array(64)),
      stream.fromArray("f32", [2, 16, 1, 32], new Float32Array(1024)),
    ];
    const table = i32(1).reshape([1, 1]);
    const trace = stream.trace();
    pagedAttention(stream, q, k, k, table, i32(0), i32(0, 1), i32(5), { scale: 1 });
    const row = (await trace.end()).find(({ op }) => op === "pagedAttention")!;
    if (device.name === "cpu") expect(row.launches).toBe(1);
    else expect(row.launches).toBeGreaterThan(1); // it plans on the device
  });

  test("of copies have their bytes", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const trace = stream.trace();
    const x = stream.fromArray("f32", [3, 5], new Float32Array(15));
    add(stream, x, x, { out: x });
    await x.read(stream);
    const rows = await trace.end();
    expect(rows.map(({ op, bytes, launches }) => ({ op, bytes, launches }))).toEqual([
      { op: "write", bytes: 60, launches: 0 },
      { op: "add", bytes: 0, launches: 1 },
      { op: "read", bytes: 60, launches: 0 },
    ]);
    expectOrder(rows);
  });

  test("of replays are those of their ops, whenever the graph was captured", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    const before = stream.capture(run);
    const trace = stream.trace();
    const during = stream.capture(run); // records nothing: nothing runs
    for (const graph of [before, during, before]) graph.replay(stream);
    expect(names(await trace.end())).toEqual([...opNames, ...opNames, ...opNames]);
    // A graph that a device has made something of by now (CUDA), and on another stream.
    before.replay(stream);
    before.replay(stream);
    for (const one of [stream, device.createStream()]) {
      await stream.synchronize();
      const again = one.trace();
      before.replay(one);
      expect(names(await again.end())).toEqual(opNames);
    }
  });
});

describe("a trace", () => {
  test("does not change results, of replays either", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const x = stream.fromArray("f32", [1, 8], new Float32Array(8).fill(2));
    const out = device.empty("f32", [1, 8]);
    const graph = stream.capture(() => add(stream, x, x, { out }));
    const results: number[] = [];
    for (const isTraced of [false, false, true, false]) {
      out.write(stream, new Float32Array(8));
      await using _trace = isTraced ? stream.trace() : undefined;
      graph.replay(stream);
      results.push(((await out.read(stream)) as Float32Array)[3]!);
    }
    expect(results).toEqual([4, 4, 4, 4]);
  });

  test("keeps maxRows rows and counts the others", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    const trace = stream.trace({ maxRows: 4 });
    run();
    run();
    run();
    expect(trace.missed).toBe(0);
    expect(names(await trace.end())).toEqual([...opNames, "linear"]);
    expect(trace.missed).toBe(5);
    const next = stream.trace();
    run();
    expect(names(await next.end())).toEqual(opNames);
  });

  test("is one at a time: another is refused until it has ended", async () => {
    await using device = openTestDevice();
    const [stream, other] = [device.createStream(), device.createStream()];
    const run = threeOps(device, stream);
    const first = stream.trace();
    expect(() => stream.trace()).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringContaining("trace: ") as string,
      }),
    );
    run();
    const elsewhere = other.trace();
    const ending = first.end();
    const second = stream.trace(); // needs no wait
    run();
    run();
    expect(names(await second.end())).toEqual([...opNames, ...opNames]);
    expect(names(await ending)).toEqual(opNames);
    expect(names(await elsewhere.end())).toEqual([]);
  });

  test("neither begins nor ends within a capture", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    const refusal = { code: "ERR_ARGUMENT_TYPE" };
    expect(() => stream.capture(() => stream.trace())).toThrow(expect.objectContaining(refusal));
    const trace = stream.trace(); // the refused one has left nothing behind
    let refused: Promise<unknown> | undefined;
    stream.capture(() => {
      refused = trace.end();
    });
    await expect(refused).rejects.toMatchObject(refusal);
    run();
    expect(names(await trace.end())).toEqual(opNames);
  });

  test.each([
    [{ maxRows: 0 }, "ERR_ARGUMENT_RANGE"],
    [{ maxRows: 1.5 }, "ERR_ARGUMENT_RANGE"],
    [{ maxRows: 2 ** 20 + 1 }, "ERR_ARGUMENT_RANGE"],
    [{ maxRows: NaN }, "ERR_ARGUMENT_RANGE"],
    [{ maxRows: "4" as unknown as number }, "ERR_ARGUMENT_TYPE"],
    [{ rows: 4 }, "ERR_UNKNOWN_OPTION"],
    [null as unknown as object, "ERR_ARGUMENT_TYPE"],
  ])("refuses %o", async (options, code) => {
    await using device = openTestDevice();
    const stream = device.createStream();
    expect(() => stream.trace(options)).toThrow(expect.objectContaining({ code }));
    await stream.trace().end();
  });
});

describe("the end of a stream", () => {
  test.each([true, false])("with a trace open, drain %s", async (drain) => {
    const before = native.liveHandles();
    const device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    const trace = stream.trace();
    run();
    await stream.dispose({ drain });
    await expect(trace.end()).rejects.toMatchObject({ code: "ERR_CLOSED" });
    expect(() => stream.trace()).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
    await device.dispose();
    expect(native.liveHandles()).toEqual(before);
  });

  test("settles an end that waits", async () => {
    const device = openTestDevice();
    const stream = device.createStream();
    const run = threeOps(device, stream);
    const trace = stream.trace();
    run();
    const ending = trace.end();
    await device.dispose();
    expect(names(await ending)).toEqual(opNames);
  });

  test("a failure of a command is that of the trace", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const table = stream.fromArray("f32", [4, 2], new Float32Array(8));
    const trace = stream.trace();
    embedding(stream, stream.fromArray("i32", [1], Int32Array.of(9)), table);
    await expect(trace.end()).rejects.toMatchObject({ code: "ERR_EXECUTION", op: "embedding" });
    await expect(stream.trace().end()).rejects.toMatchObject({ code: "ERR_EXECUTION", op: "embedding" });
  });
});

describe("chromeJson", () => {
  test("has a complete event for each row, and the names of the timeline", async () => {
    await using device = openTestDevice();
    const trace = traceThreeOpsAndACopy(device);
    const rows = await trace.end();
    const { traceEvents } = JSON.parse(await trace.chromeJson({ name: "three" })) as {
      readonly traceEvents: readonly Record<string, unknown>[];
    };
    const kinds = traceEvents.map(({ ph }) => ph);
    expect(kinds).toEqual(["M", "M", "X", "X", "X", "X"]);
    expect(traceEvents[0]).toMatchObject({ name: "process_name", args: { name: "three" } });
    const events = traceEvents.slice(2);
    expect(events.map(({ ts, dur }) => [ts, dur])).toEqual(
      rows.map(({ start, duration }) => [start, duration]),
    );
    expect(events.map(({ cat }) => cat)).toEqual(["op", "op", "op", "copy"]);
    expect(events[1]).toMatchObject({ name: "rmsNorm", args: { tensors: rows[1]!.tensors, launches: 1 } });
    const chosen = device.name === "cpu" ? "linear" : "linear 8x16";
    expect(events[0]).toMatchObject({ name: chosen, args: { refused: rows[0]!.refused } });
  });

  test("calls a copy of nothing a copy", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const trace = stream.trace();
    device.empty("f32", [0]).write(stream, new Float32Array());
    const { traceEvents } = JSON.parse(await trace.chromeJson()) as { traceEvents: { cat?: string }[] };
    expect(traceEvents.at(-1)!.cat).toBe("copy");
  });

  test("of no rows is a timeline without events", async () => {
    await using device = openTestDevice();
    const text = await device.createStream().trace().chromeJson();
    expect((JSON.parse(text) as { traceEvents: unknown[] }).traceEvents).toHaveLength(2);
  });
});
