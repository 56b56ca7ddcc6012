/** Runs one block by itself. */
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import type { Block, BlockCall } from "../../lib/nn/part.js";
import { PageTable, stepInputs } from "./pagedSteps.js";

/** Adds what a block makes of x [T, D] to `residual` [T, D] f32. A block that looks at no step needs no `inputs`. */
export function runBlock(
  stream: Stream,
  block: Block,
  x: Tensor,
  residual: Tensor,
  call: Partial<Pick<BlockCall, "inputs" | "cache" | "tap">> = {},
): void {
  const inputs = call.inputs ?? stepInputs(stream, [], new PageTable([1]));
  block.run(stream, {
    ...{ x, inputs, tap: () => undefined, ...call },
    join: (project) => project({ residual, out: residual }),
  });
}
