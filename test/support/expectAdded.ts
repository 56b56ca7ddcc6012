/** What a block adds to the residual stream, against its composition in float64. */
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Block } from "../../lib/nn/part.js";
import { sum } from "../reference/blocks.js";
import { expectClose } from "./compare.js";
import type { OpContext } from "./devices.js";
import type { Random } from "./random.js";
import { runBlock } from "./runBlock.js";

/** Runs a block on random x [T, D] over a residual stream that is not zero, and compares what that has become. */
export async function expectAdded(
  context: OpContext,
  random: Random,
  block: Block,
  expected: (x: Float64Array) => Float64Array,
  {
    T,
    D,
    dtype,
    ops,
    reduction,
  }: { T: number; D: number; dtype: FloatDType; ops: number; reduction: number },
): Promise<void> {
  const x = random.normal(T * D, { dtype });
  const before = random.normal(T * D, { std: 0.25 }); // smaller than what is added: that sets the tolerance
  const residual = context.tensor("f32", [T, D], before);
  runBlock(context.stream, block, context.tensor(dtype, [T, D], x), residual);
  expectClose(await context.read(residual), sum(before, expected(x)), {
    ...{ dtype: "f32", shape: [T, D], intermediate: dtype, reduction, ops },
  });
}
