// Contract: a view of a tensor is an argument of ops as long as it lies inside its memory; one without elements always does.
import { expect, test } from "vitest";
import { Tensor } from "../../lib/device/tensor.js";
import { moePermute } from "../../lib/ops/moePermute.js";
import { softmax } from "../../lib/ops/softmax.js";
import { openTestDevice } from "../support/devices.js";

const device = openTestDevice({ threads: 1 });
const stream = device.createStream();

test.each([
  ["columns of no rows", () => device.empty("f32", [0, 17]).slice(1, 1, 17), [0, 16]],
  ["the last columns of no rows", () => device.empty("f32", [0, 17]).slice(1, 17, 17), [0, 0]],
  ["no rows behind the last", () => device.empty("f32", [3, 4]).slice(0, 3, 3), [0, 4]],
  ["no columns behind the last", () => device.empty("f32", [3, 4]).slice(1, 4, 4), [3, 0]],
])("%s are an argument", async (_name, view, shape) => {
  expect(softmax(stream, view()).shape).toEqual(shape);
  await stream.synchronize();
});

test("one without elements is read and written, wherever it begins", async () => {
  const views = [
    device.empty("f32", [0, 17]).slice(1, 3, 17),
    device.empty("f32", [3, 4]).slice(0, 3, 3),
    device.empty("f32", [3, 4]).slice(1, 4, 4),
  ];
  for (const view of views) {
    expect(await view.read(stream)).toEqual(new Float32Array());
    expect(await view.readFloat32(stream)).toEqual(new Float32Array());
    view.write(stream, new Float32Array());
  }
  await stream.synchronize();
});

test("one without elements is contiguous", async () => {
  const experts = device.empty("i32", [3, 9]).slice(1, 2, 2);
  const { offsets } = moePermute(stream, experts, 3);
  expect(await offsets.read(stream)).toEqual(new Int32Array(4));
  expect(experts.reshape([2, 0, 5]).isPacked).toBe(true);
});

test("a view that ends beyond its memory is refused", () => {
  const { memory } = device.empty("f32", [3, 4]);
  for (const [shape, byteOffset] of [
    [[3, 5], 0],
    [[3, 4], 4],
    [[1, 1], 48],
  ] as const) {
    const view = Tensor.packed(memory, "f32", shape, byteOffset);
    expect(() => softmax(stream, view)).toThrow(/ends beyond its memory of 48 bytes/);
  }
});
