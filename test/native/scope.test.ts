// Contract: a tensor of a scope ends with the scope. Its memory then belongs to others, so whoever still uses it is told, by every
// way of using it; tensors of other scopes and tensors that own their memory are not touched.
import { describe, expect, test } from "vitest";
import { ClosedError } from "../../lib/errors.js";
import { add } from "../../lib/ops/add.js";
import { softmax } from "../../lib/ops/softmax.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { openTestDevice } from "../support/devices.js";

const device = openTestDevice({ threads: 1 });
const values = Float32Array.of(1, 2, 3, 4);

function inScope() {
  const stream = device.createStream();
  const scope = stream.scope();
  const tensor = stream.fromArray("f32", [2, 2], values);
  return { stream, scope, tensor };
}

describe("a tensor of a closed scope", () => {
  const uses: [string, (tensor: Tensor, stream: ReturnType<typeof inScope>["stream"]) => unknown][] = [
    ["read", (tensor, stream) => tensor.read(stream)],
    ["readFloat32", (tensor, stream) => tensor.readFloat32(stream)],
    ["write", (tensor, stream) => tensor.write(stream, values)],
    ["an op's argument", (tensor, stream) => softmax(stream, tensor)],
    ["an op's second argument", (tensor, stream) => add(stream, device.empty("f32", [2, 2]), tensor)],
    ["an op's out", (tensor, stream) => softmax(stream, device.empty("f32", [2, 2]), { out: tensor })],
    ["a view of it", (tensor, stream) => tensor.slice(0, 0, 1).read(stream)],
    ["a reshaped view", (tensor, stream) => tensor.reshape([4]).read(stream)],
  ];
  test.each(uses)("is refused: %s", async (_name, use) => {
    const { stream, scope, tensor } = inScope();
    scope.close();
    await expect(async () => use(tensor, stream)).rejects.toThrow(ClosedError);
    await stream.synchronize();
  });

  test.each(uses)("is refused, made before it closed: %s", async (_name, use) => {
    const { stream, scope, tensor } = inScope();
    const view = tensor.slice(0, 0, 2);
    scope.close();
    await expect(async () => use(view, stream)).rejects.toThrow(ClosedError);
  });
});

test("what was read before the scope closed comes, whatever is allocated after", async () => {
  const { stream, scope, tensor } = inScope();
  const read = tensor.readFloat32(stream);
  scope.close();
  using _next = stream.scope();
  stream.fromArray("f32", [2, 2], new Float32Array(4));
  expect(await read).toEqual(values);
});

test("an inner scope ends alone", async () => {
  const { stream, scope, tensor } = inScope();
  const inner = stream.scope();
  const temporary = stream.fromArray("f32", [2, 2], values);
  expect(() => scope.close()).toThrow("an inner scope is still open");
  inner.close();
  const later = stream.fromArray(
    "f32",
    [2, 2],
    values.map((value) => -value),
  );
  await expect(temporary.read(stream)).rejects.toThrow(ClosedError);
  expect(await tensor.read(stream)).toEqual(values);
  expect(await later.read(stream)).toEqual(values.map((value) => -value));
  scope.close();
});

test("disposing a tensor of a scope ends that tensor and no other", async () => {
  const { stream, scope, tensor } = inScope();
  const other = stream.fromArray("f32", [2, 2], values);
  tensor.dispose();
  await expect(tensor.read(stream)).rejects.toThrow(ClosedError);
  expect(await other.read(stream)).toEqual(values);
  stream.empty("f32", [2, 2]);
  scope.close();
});

test("a tensor that owns its memory outlives scopes", async () => {
  const stream = device.createStream();
  const own = stream.fromArray("f32", [2, 2], values);
  stream.scope().close();
  expect(await own.read(stream)).toEqual(values);
});
