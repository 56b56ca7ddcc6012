// Contract of the CUDA device's host side, on the emulated GPU or on a real one: copies of every size arrive whole, graphs
// replay what was recorded, memory that does not suffice is a typed error, and a device fault ends its stream and its
// engine, once.
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import type { LLM } from "../../lib/llm/llm.js";
import { Device } from "../../lib/device/device.js";
import { native } from "../../lib/device/native.js";
import { add } from "../../lib/ops/add.js";
import { embedding } from "../../lib/ops/embedding.js";
import type { Stream } from "../../lib/device/stream.js";
import { loadLLM, modelFolder } from "../llm/checkpoints.js";

const gpu = Device.available().find((name) => name !== "cpu");
const onGpu = describe.skipIf(gpu === undefined);
const onSimt = describe.skipIf((gpu as string | undefined) !== "simt");
const mebibyte = 1 << 20;

let device: Device;
let stream: Stream;
if (gpu !== undefined) {
  beforeEach(() => {
    device = Device.open(gpu);
    stream = device.createStream();
  });
  afterEach(() => device.dispose());
}

/** Bytes that say where they are. */
function pattern(bytes: number, seed = 0): Int32Array {
  return Int32Array.from({ length: bytes / 4 }, (_, i) => Math.imul(i + seed, 0x9e3779b1));
}

function same(actual: ArrayBufferView, expected: ArrayBufferView): boolean {
  const bytes = (view: ArrayBufferView) => Buffer.from(view.buffer, view.byteOffset, view.byteLength);
  return bytes(actual).equals(bytes(expected));
}

onGpu("copies", () => {
  // The staging buffers have 8 MiB, four for uploads and one for downloads.
  const sizes = [4, 4096, 8 * mebibyte - 4, 8 * mebibyte, 8 * mebibyte + 4, 40 * mebibyte + 12];

  it.each(sizes)("of %i bytes go up and come down whole", async (bytes) => {
    const data = pattern(bytes);
    const tensor = stream.fromArray("i32", [data.length], data);
    expect(same(await tensor.read(stream), data)).toBe(true);
  });

  it("of many sizes one after another, read while others are under way", async () => {
    const parts = [3, 5, 1, 7, 2, 6].map((n, i) => pattern(n * mebibyte + 4 * i, i));
    const reads = parts.map((data) => stream.fromArray("i32", [data.length], data).read(stream));
    for (const [i, read] of reads.entries()) expect(same(await read, parts[i]!)).toBe(true);
  });

  it("read what was there when the stream got to them, not what came later", async () => {
    const tensor = device.empty("i32", [64]);
    const reads = Array.from({ length: 200 }, (_, i) => {
      tensor.write(stream, new Int32Array(64).fill(i));
      return tensor.read(stream);
    });
    for (const [i, read] of reads.entries()) expect((await read)[63]).toBe(i);
  });

  it("of nothing are nothing", async () => {
    expect(await stream.fromArray("i32", [0], new Int32Array(0)).read(stream)).toHaveLength(0);
  });
});

onGpu("graphs", () => {
  it("replay what was recorded on the data of the moment", async () => {
    const x = device.empty("f32", [300]);
    const one = stream.fromArray("f32", [300], new Float32Array(300).fill(1));
    const out = device.empty("f32", [300]);
    const graph = stream.capture(() => {
      add(stream, x, one, { out });
      add(stream, out, one, { out });
    });
    for (const value of [3, 10, -7]) {
      x.write(stream, new Float32Array(300).fill(value));
      graph.replay(stream);
      expect(new Set((await out.read(stream)) as Float32Array)).toEqual(new Set([value + 2]));
    }
    const other = device.createStream(); // another one, while the first has work of its own
    x.write(stream, new Float32Array(300).fill(5));
    await stream.synchronize();
    graph.replay(other);
    graph.replay(other);
    expect(((await out.read(other)) as Float32Array)[299]).toBe(7);
    graph.replay(stream);
    graph.dispose();
    x.dispose();
    expect(((await out.read(stream)) as Float32Array)[0]).toBe(7);
  });

  it("an op that fails while it is recorded fails the replay", async () => {
    const table = stream.fromArray("f32", [4, 2], new Float32Array(8));
    const ids = stream.fromArray("i32", [2], Int32Array.of(1, 9));
    const out = device.empty("f32", [2, 2]);
    const graph = stream.capture(() => embedding(stream, ids, table, { out }));
    graph.replay(stream);
    await expect(out.read(stream)).rejects.toMatchObject({ code: "ERR_EXECUTION", op: "embedding" });
  });
});

onGpu("data that a kernel cannot use", () => {
  it("poisons the stream from there on: earlier reads get their data, other streams go on", async () => {
    const table = stream.fromArray("f32", [4, 2], Float32Array.of(0, 1, 2, 3, 4, 5, 6, 7));
    const good = embedding(stream, stream.fromArray("i32", [1], Int32Array.of(3)), table).read(stream);
    const bad = embedding(stream, stream.fromArray("i32", [3], Int32Array.of(0, 2, 9)), table).read(stream);
    const failure = {
      code: "ERR_EXECUTION",
      op: "embedding",
      message: "embedding: ids[2] = 9 is outside [0, V=4)",
    };
    const refused = expect(bad).rejects.toMatchObject(failure);
    expect([...(await good)]).toEqual([6, 7]);
    await refused;
    await expect(stream.synchronize()).rejects.toMatchObject(failure);
    expect(() => add(stream, table, table)).not.toThrow(); // queued, and skipped
    await expect(table.read(stream)).rejects.toMatchObject(failure);
    const other = device.createStream();
    expect([...(await table.read(other))]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});

onSimt("memory", () => {
  const limit = 800 * mebibyte; // the workspace of a stream takes 256
  beforeEach(() => void (process.env["WARPLOOP_SIMT_MEMORY"] = String(limit)));
  afterEach(() => void delete process.env["WARPLOOP_SIMT_MEMORY"]);

  test("that does not suffice is an error with needed and free bytes, and the device goes on", async () => {
    const { free, total } = device.memory;
    expect(total).toBe(limit);
    const failure = { code: "ERR_OUT_OF_MEMORY", neededBytes: 4 * limit, freeBytes: free };
    expect(() => device.empty("f32", [limit])).toThrow(expect.objectContaining(failure) as Error);
    const tensor = stream.fromArray("i32", [2], Int32Array.of(5, 6));
    expect([...(await tensor.read(stream))]).toEqual([5, 6]);
    expect(device.memory.free).toBe(free - 8);
  });

  test("that a stream's scratch does not fit into, too", () => {
    const streams = Array.from({ length: 2 }, () => device.createStream());
    expect(streams).toHaveLength(2);
    expect(() => device.createStream()).toThrow(
      expect.objectContaining({ code: "ERR_OUT_OF_MEMORY" }) as Error,
    );
  });

  test("that a KV cache does not fit into fails the load, and leaves nothing behind", async () => {
    const before = native.liveHandles();
    const load = loadLLM(modelFolder("tiny-draft"), { kvCacheBytes: 4 * limit, maxSequences: 4096 });
    await expect(load).rejects.toMatchObject({ code: "ERR_OUT_OF_MEMORY" });
    expect(native.liveHandles()).toEqual(before);
  });
});

onSimt("a device fault", () => {
  it("reaches every wait of the stream with the kernel's name", async () => {
    const x = stream.fromArray("f32", [8], new Float32Array(8));
    const before = x.read(stream);
    native.failNextLaunch!();
    const out = add(stream, x, x);
    const failure = {
      code: "ERR_EXECUTION",
      message: expect.stringMatching(/add.*a failure was asked for/i) as string,
    };
    await expect(out.read(stream)).rejects.toMatchObject(failure);
    await expect(stream.synchronize()).rejects.toMatchObject(failure);
    await before.catch(() => undefined); // it may have been issued before the fault, or not
  });

  it("ends the engine: every request fails once, later ones are refused, closing works", async () => {
    const llm: LLM = await loadLLM(modelFolder("tiny-draft"), { contextLength: 64 });
    const running = [1, 2].map((id) => llm.generate([id, 3], { maxTokens: 40, ignoreEos: true }));
    let chunks = 0;
    const results = running.map(async (one) => {
      for await (const chunk of one) if (chunk && ++chunks === 4) native.failNextLaunch!();
    });
    const ends = await Promise.allSettled(results);
    for (const end of ends) {
      expect(end).toMatchObject({ status: "rejected", reason: { code: "ERR_EXECUTION" } });
    }
    expect(llm.stats().state).toBe("dead");
    await expect(llm.generate([1], { maxTokens: 1 }).result()).rejects.toMatchObject({
      code: "ERR_EXECUTION",
    });
    await llm.close();
  });
});
