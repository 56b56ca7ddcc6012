/** Contract: a process or worker thread ends cleanly in the middle of work, and disposal is legal in any order. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import { embedding } from "../../lib/ops/embedding.js";
import { linear } from "../../lib/ops/linear.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { openTestDevice } from "../support/devices.js";
import { queueWork } from "./fixtures/work.js";

const fixture = fileURLToPath(new URL("fixtures/work.ts", import.meta.url));

function run(mode: string) {
  // A hang is a failure, too: the whole work takes about a second.
  const result = spawnSync(process.execPath, ["--import", "tsx", fixture, mode], {
    encoding: "utf8",
    timeout: 60_000,
  });
  return { status: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}

describe("the end of a process", () => {
  test.each([
    ["exit", 0],
    ["end", 0],
    ["throw", 1],
  ])("%s with work queued", (mode, status) => {
    expect(run(mode)).toMatchObject({ status, signal: null });
  });

  test("waits for what is awaited", () => {
    expect(run("await")).toMatchObject({ status: 0, stdout: "read 256\n" });
  });

  test("waits for what is awaited when another stream is abandoned", () => {
    const codes = "ERR_CLOSED,ERR_CLOSED,ERR_CLOSED";
    expect(run("abandon")).toMatchObject({ status: 0, stdout: `abandoned ${codes}, read 256\n` });
  });

  test.each(["worker-terminate", "worker-end"])("%s", (mode) => {
    expect(run(mode)).toMatchObject({ status: 0, stdout: "workers ended\n" });
  });
});

describe("disposal", () => {
  test("of a stream rejects what still waits, and later calls", async () => {
    const { device, stream, out } = queueWork();
    const read = out.read(stream);
    const refused = expect(read).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await stream.dispose({ drain: false });
    await refused;
    expect(() => rmsNorm(stream, out, out)).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
    await expect(stream.synchronize()).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await device.dispose();
  });

  test("of a tensor leaves queued work its memory", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const x = stream.fromArray("f32", [64, 64], new Float32Array(4096).fill(1));
    const weight = packLinear(stream, x);
    const out = device.empty("f32", [64, 64]);
    for (let i = 0; i < 200; i++) linear(stream, x, weight, { out });
    x.dispose();
    weight.dispose();
    expect(((await out.read(stream)) as Float32Array)[0]).toBe(64);
    expect(() => linear(stream, x, weight, { out })).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
    x.dispose(); // idempotent
  });

  test("of the device first, then of everything else", async () => {
    const { device, stream, out } = queueWork();
    await device.dispose();
    await stream.dispose();
    out.dispose();
    await device.dispose();
    expect(() => device.createStream()).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
    expect(() => device.empty("f32", [1])).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
  });

  test("of a graph leaves a queued replay its commands", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const x = stream.fromArray("f32", [1, 8], new Float32Array(8).fill(2));
    const weight = stream.fromArray("f32", [8], new Float32Array(8).fill(3));
    const out = device.empty("f32", [1, 8]);
    const graph = stream.capture(() => rmsNorm(stream, x, weight, { out, eps: 1e-12 }));
    graph.replay(stream);
    graph.dispose();
    x.dispose();
    expect(((await out.read(stream)) as Float32Array)[0]).toBeCloseTo(3, 6);
    expect(() => graph.replay(stream)).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
  });

  test("many devices and streams leave no native object behind, also under garbage collection", async () => {
    const before = native.liveHandles();
    for (let i = 0; i < 30; i++) {
      const device = openTestDevice({ threads: 2 });
      const streams = [device.createStream(), device.createStream()];
      const tensors = streams.map((stream) => stream.fromArray("f32", [4], Float32Array.of(1, 2, 3, i)));
      const read = await Promise.all(tensors.map((tensor, j) => tensor.read(streams[j]!)));
      expect(read.map((data) => data[3])).toEqual([i, i]);
      for (const tensor of tensors) tensor.dispose();
      (globalThis as { gc?: () => void }).gc?.();
      await device.dispose();
    }
    expect(native.liveHandles()).toEqual(before);
  });
});

describe("a failure while running", () => {
  test("poisons the stream: the first one wins and names op and shapes", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const table = stream.fromArray("f32", [4, 2], new Float32Array(8));
    const good = stream.fromArray("i32", [1], Int32Array.of(3));
    const bad = stream.fromArray("i32", [3], Int32Array.of(0, 9, 1));
    const first = embedding(stream, good, table);
    expect([...(await first.readFloat32(stream))]).toEqual([0, 0]);
    const second = embedding(stream, bad, table);
    embedding(stream, good, table);
    const failure = {
      code: "ERR_EXECUTION",
      op: "embedding",
      // A GPU tells after the call which value it met, not which shapes were at hand.
      message: expect.stringContaining(device.kind === "cuda" ? "ids[1] = 9" : "[3] i32") as string,
    };
    await expect(second.read(stream)).rejects.toMatchObject(failure);
    await expect(stream.synchronize()).rejects.toMatchObject(failure);
    const other = device.createStream(); // other streams are not touched
    expect((await other.fromArray("i32", [1], Int32Array.of(7)).read(other))[0]).toBe(7);
  });

  test.each([1, 2, 3])("of an op of a graph is that op's, in replay %i", async (replays) => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const table = stream.fromArray("f32", [4, 2], new Float32Array(8));
    const ids = stream.fromArray("i32", [2], Int32Array.of(0, 1));
    const out = device.empty("f32", [2, 2]);
    using graph = stream.capture(() => void embedding(stream, ids, table, { out }));
    for (let i = 1; i < replays; i++) graph.replay(stream);
    ids.write(stream, Int32Array.of(0, 9));
    graph.replay(stream);
    const message = /^embedding: [^:]*\b9\b/;
    const failure = {
      code: "ERR_EXECUTION",
      op: "embedding",
      message: expect.stringMatching(message) as string,
    };
    await expect(stream.synchronize()).rejects.toMatchObject(failure);
  });
});

describe("captures", () => {
  test("refuse host copies and nesting, and end after an error", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const x = device.empty("f32", [4]);
    const refusal = expect.objectContaining({ code: "ERR_ARGUMENT_TYPE" }) as Error;
    expect(() => stream.capture(() => x.write(stream, new Float32Array(4)))).toThrow(refusal);
    expect(() => stream.capture(() => stream.capture(() => undefined))).toThrow(refusal);
    x.write(stream, Float32Array.of(1, 2, 3, 4)); // the captures above are over
    expect([...(await x.readFloat32(stream))]).toEqual([1, 2, 3, 4]);
  });
});

test("a device that is disposed releases tensors and arenas that nobody has disposed", async () => {
  const before = native.liveHandles();
  const device = openTestDevice();
  const stream = device.createStream();
  device.empty("f32", [8]);
  const scope = stream.scope();
  stream.empty("f32", [8]);
  scope.close();
  await device.dispose();
  expect(native.liveHandles()).toEqual(before);
});
