/** packLinear: what it adds to loading a weight. */
import { packLinear } from "../../lib/ops/packLinear.js";
import { native } from "../../lib/device/native.js";
import { filled } from "../support/inputs.js";
import { benchOp, type OpBenchCase } from "../support/opBench.js";

const cases = (["bf16", "f32"] as const).map((dtype): OpBenchCase => {
  const [N, K] = [6144, 1024];
  return {
    shape: `N=${N} K=${K}`,
    dtype,
    bytes: 2 * N * K * (dtype === "bf16" ? 2 : 4),
    setup(stream) {
      const weight = filled(stream, dtype, [N, K]);
      const packed = packLinear(stream, weight); // the op again, without allocating a weight each time
      return () => stream.run(native.ops.packLinear, weight, packed.segments[0]!, 0);
    },
  };
});
await benchOp("packLinear", cases);
