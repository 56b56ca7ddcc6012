/**
 * Tensors, streams and single operations:  npm run example:tensors
 */
import { Device, ops } from "../lib/index.js";
import { readArguments } from "./arguments.js";

readArguments("npm run example:tensors   (no arguments)", {});

await using device = Device.open("auto");
const stream = device.createStream();
console.log(`device ${device.name}: ${device.threads} threads, ${device.isa}`);

// An op call queues work and returns at once; read() waits for what was queued before it.
const x = stream.fromArray("f32", [2, 4], Float32Array.of(1, 2, 3, 4, -1, 0, 1, 2));
const weight = stream.fromArray("f32", [4], Float32Array.of(1, 1, 2, 2));
const normed = ops.rmsNorm(stream, x, weight, { eps: 1e-6 });
console.log("rmsNorm", await normed.readFloat32(stream));

// Weights are packed once into the layout that the kernel streams.
const w = stream.fromArray(
  "f32",
  [3, 4],
  Float32Array.from({ length: 12 }, (_, i) => i / 10),
);
const packed = ops.packLinear(stream, w);
console.log("linear ", await ops.linear(stream, normed, packed).readFloat32(stream));

// Temporaries of a scope come from an arena and end with it: nothing is allocated per step.
const out = device.empty("f32", [2, 3]);
const step = () => {
  const scope = stream.scope();
  const hidden = ops.rmsNorm(stream, x, weight);
  ops.linear(stream, hidden, packed, { out });
  scope.close();
};

// A graph records the calls once and replays them with one native call.
const graph = stream.capture(step);
x.write(stream, Float32Array.of(4, 3, 2, 1, 2, 1, 0, -1));
graph.replay(stream);
console.log("replay ", await out.readFloat32(stream));

// Bad arguments throw at once and name what is wrong.
try {
  ops.rmsNorm(stream, x, stream.fromArray("f32", [3], new Float32Array(3)));
} catch (error) {
  console.log(`${(error as Error).name}: ${(error as Error).message}`);
}
