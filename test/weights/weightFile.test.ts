// Contract: bytes of a file arrive on the device whole or not at all: a file that is cut, also while it is read, or whose name was
// given to another file meanwhile, never ends the process and never mixes two versions.
import { closeSync, mkdtempSync, openSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { WeightFile } from "../../lib/weights/weightFile.js";

const megabyte = 1 << 20;
const bytes = Uint8Array.from({ length: 9 * megabyte + 3 }, (_, i) => (i * 7 + (i >> 12)) & 0xff);
let device: Device;
let stream: Stream;
let folder: string;
let file: string;
beforeAll(() => (device = Device.open(Device.available()[0])));
afterAll(() => device.dispose());
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "warploop-weights-"));
  file = path.join(folder, "model.safetensors");
  writeFileSync(file, bytes);
  stream = device.createStream();
});
afterEach(async () => {
  await stream.dispose();
  rmSync(folder, { recursive: true });
});

/** Opens the file as a checkpoint does, and closes its own descriptor at once. */
function open(): WeightFile {
  const descriptor = openSync(file, "r");
  const shared = new WeightFile(descriptor, file);
  closeSync(descriptor);
  return shared;
}

describe("copyTo", () => {
  it.each([
    { name: "all", offset: 0, count: bytes.length },
    { name: "one byte", offset: 5, count: 1 },
    { name: "the last bytes", offset: bytes.length - 100, count: 100 },
    { name: "an odd piece over several buffers", offset: 4097, count: 8 * megabyte + 77 },
    { name: "nothing", offset: 12, count: 0 },
  ])("brings $name", async ({ offset, count }) => {
    using source = open();
    const tensor = stream.empty("u8", [count + 2]);
    tensor.write(stream, new Uint8Array(count + 2).fill(0xee));
    source.copyTo(stream, tensor, offset, count, 1);
    const got = (await tensor.read(stream)) as Uint8Array;
    const expected = Buffer.concat([
      Buffer.of(0xee),
      bytes.subarray(offset, offset + count),
      Buffer.of(0xee),
    ]);
    expect(Buffer.from(got).equals(expected)).toBe(true);
    tensor.dispose();
  });

  it("reads the file that was opened, not the one that has its name now", async () => {
    using source = open();
    const other = path.join(folder, "other");
    writeFileSync(other, new Uint8Array(bytes.length));
    renameSync(other, file);
    const tensor = stream.empty("u8", [64]);
    source.copyTo(stream, tensor, 1000, 64);
    expect(await tensor.read(stream)).toEqual(bytes.slice(1000, 1064));
    tensor.dispose();
  });

  it("of more bytes than the file has is an error at the next wait, with file and offset", async () => {
    using source = open();
    truncateSync(file, 5000);
    const tensor = stream.empty("u8", [4 * megabyte]);
    source.copyTo(stream, tensor, 1000, 4 * megabyte);
    await expect(stream.synchronize()).rejects.toMatchObject({
      name: "ExecutionError",
      message: expect.stringMatching(/model\.safetensors: .*shorter.* bytes at byte \d+/) as string,
    });
    tensor.dispose();
  });

  it("goes on or fails, but never kills the process, when the file is cut while it is read", async () => {
    const tensor = stream.empty("u8", [bytes.length]);
    for (let round = 0; round < 30; round++) {
      writeFileSync(file, bytes);
      const own = device.createStream();
      using source = open();
      for (let i = 0; i < 8; i++) source.copyTo(own, tensor, 0, bytes.length);
      await new Promise((resolve) => setTimeout(resolve, round % 7));
      truncateSync(file, 4096 + round);
      const outcome = await own.synchronize().then(
        () => "whole",
        (error: unknown) => (error as { code: string }).code,
      );
      expect(["whole", "ERR_EXECUTION"]).toContain(outcome);
      await own.dispose();
    }
    tensor.dispose();
  });

  it("stays inside the tensor", () => {
    using source = open();
    const tensor = stream.empty("u8", [100]);
    for (const [offset, count, start] of [
      [0, 101, 0],
      [0, 1, 100],
      [-1, 1, 0],
      [0, 1, -1],
    ] as const) {
      expect(() => source.copyTo(stream, tensor, offset, count, start)).toThrow(/copyTo/);
    }
    tensor.dispose();
  });
});

it("a descriptor that is none, or of a folder, is refused", () => {
  const descriptor = openSync(folder, "r");
  expect(() => new WeightFile(descriptor, folder)).toThrow(/not a regular file/);
  closeSync(descriptor);
  expect(() => new WeightFile(1_000_000, file)).toThrow(/not an open file/);
});
