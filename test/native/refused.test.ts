// Contract: an op of no elements returns at once however many empty rows it has; sizes that a kernel could not count are refused; and
// memory of one device is refused by streams of another, in every way that it can be handed to them.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import { native } from "../../lib/device/native.js";
import * as ops from "../../lib/ops/index.js";
import type { Stream } from "../../lib/device/stream.js";
import { Tensor } from "../../lib/device/tensor.js";

const name = Device.available()[0];
let device: Device;
let stream: Stream;
beforeAll(() => {
  device = Device.open(name);
  stream = device.createStream();
});
afterAll(() => device.dispose());

const error = (call: () => unknown): unknown => {
  try {
    call();
    return undefined;
  } catch (thrown) {
    return thrown;
  }
};

describe("tensors without elements", () => {
  const rows = 2 ** 30;
  const empty = (...shape: number[]) => stream.empty("f32", shape);
  const calls: Readonly<Record<string, () => Tensor>> = {
    add: () => ops.add(stream, empty(rows, rows, rows, 0), empty(rows, rows, rows, 0)),
    cast: () => ops.cast(stream, empty(rows, rows, 0), "bf16"),
    copy: () => ops.copy(stream, empty(rows, rows, rows, 0), empty(rows, rows, rows, 0)),
    embedding: () => ops.embedding(stream, stream.fromArray("i32", [2], Int32Array.of(0, 1)), empty(rows, 0)),
    gelu: () => ops.gelu(stream, empty(rows, rows, 0), { approximate: "tanh" }),
    rmsNorm: () => ops.rmsNorm(stream, empty(rows, rows, 0), empty(0)),
    siluMul: () => ops.siluMul(stream, empty(rows, 0)),
    softmax: () => ops.softmax(stream, empty(rows, 0)),
    argmax: () => ops.argmax(stream, empty(0, rows)),
  };

  it.each(Object.keys(calls))("%s returns at once", async (op) => {
    const out = calls[op]!();
    await stream.synchronize();
    expect(out.numel).toBe(0);
  });
});

describe("sizes that 32 bits do not count", () => {
  const edge = 2 ** 31;
  it.each([edge - 1, edge, edge + 1, 2 ** 32, 2 ** 40])("%i", async (size) => {
    const wide = stream.empty("f32", [size, 0]);
    expect(error(() => ops.add(stream, wide, wide))).toMatchObject({
      name: "ArgumentRangeError",
      message: expect.stringMatching(
        /^add: a: expected at most \d+ elements on axis 0, got \[\d+, 0\]/,
      ) as string,
    });
    await stream.synchronize();
  });

  it("also of an axis that a view only claims to have", () => {
    const one = stream.empty("f32", [1, 1]);
    const repeated = Tensor.strided(one.memory, "f32", [edge - 1, 1], [0, 1]);
    expect(error(() => ops.softmax(stream, repeated))).toMatchObject({ name: "ArgumentRangeError" });
    one.dispose();
  });
});

describe("memory of another device", () => {
  it("is refused by ops, copies and replays, and the stream goes on", async () => {
    await using other = Device.open(name);
    const elsewhere = other.createStream();
    const theirs = elsewhere.fromArray("f32", [2], Float32Array.of(1, 2));
    const ours = stream.fromArray("f32", [2], Float32Array.of(3, 4));
    const graph = elsewhere.capture(() => ops.add(elsewhere, theirs, theirs, { out: theirs }));
    const wrong = {
      name: "ArgumentTypeError",
      message: expect.stringContaining("different devices") as string,
    };
    expect(error(() => ops.add(stream, ours, theirs))).toMatchObject(wrong);
    expect(error(() => ops.add(stream, theirs, theirs, { out: ours }))).toMatchObject(wrong);
    expect(error(() => ops.add(stream, ours, ours, { out: theirs }))).toMatchObject(wrong);
    expect(error(() => theirs.write(stream, Float32Array.of(5, 6)))).toMatchObject(wrong);
    await expect(theirs.read(stream)).rejects.toMatchObject(wrong);
    await expect(theirs.readFloat32(stream)).rejects.toMatchObject(wrong);
    expect(error(() => graph.replay(stream))).toMatchObject(wrong);
    expect(await ops.add(stream, ours, ours).read(stream)).toEqual(Float32Array.of(6, 8));
    expect(await theirs.read(elsewhere)).toEqual(Float32Array.of(1, 2));
    graph.dispose();
  });

  it.each([null, undefined, 5, "x", {}, [1, 2], Float32Array.of(1), { device: undefined }])(
    "what is no tensor at all: %j",
    (value) => {
      const x = stream.empty("f32", [1]);
      const call = () => stream.run(native.ops["add"], x, value as unknown as Tensor, x, 1);
      const { code } = error(call) as { code: string };
      expect(code).toMatch(/^ERR_/);

      x.dispose();
    },
  );
});

describe("an op call with other arguments than the op reads", () => {
  const two = () => [stream.fromArray("f32", [1], Float32Array.of(1)), stream.empty("f32", [1])] as const;
  /** A caller that TypeScript would stop. */
  const call = (...given: readonly (Tensor | number)[]) =>
    error(() => (stream.run as (op: unknown, ...args: unknown[]) => void)(native.ops.copy, ...given));

  it("is refused, not queued", async () => {
    const [src, dst] = two();
    ops.add(stream, src, src, { out: dst }); // leaves numbers behind that a shorter call must not read
    expect(call(src)).toMatchObject({
      name: "ArgumentTypeError",
      message: expect.stringContaining("op call: 6 numbers were passed, the op reads more") as string,
    });
    expect(call(src, dst, 1)).toMatchObject({
      name: "ArgumentTypeError",
      message: expect.stringContaining("op call: 13 numbers were passed, the op reads 12") as string,
    });
    expect(await dst.read(stream)).toEqual(Float32Array.of(2));
    expect(call(src, dst)).toBeUndefined();
    expect(await dst.read(stream)).toEqual(Float32Array.of(1));
  });

  it("is refused when the count is none", () => {
    for (const count of [-1, 0.5, NaN, Infinity, 512]) {
      native.arguments[0] = count;
      expect(error(() => native.ops.copy(stream.handle))).toMatchObject({ name: "ArgumentRangeError" });
    }
  });
});
