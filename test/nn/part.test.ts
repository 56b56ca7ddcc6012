// Contract: what the branches of a part make is summed over the ranks that share them, once for each axis, before a norm and a factor;
// what ranks do not share is not; without any of that the last op of each block adds to the residual stream.
import { expect } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { type Block, type Into, type Part, type RankAxis, type RankSum, runPart } from "../../lib/nn/part.js";
import { add } from "../../lib/ops/add.js";
import { cast } from "../../lib/ops/cast.js";
import { describeOp, type OpContext } from "../support/devices.js";
import { PageTable, stepInputs } from "../support/pagedSteps.js";

const [T, D] = [2, 3];
const x = Float64Array.from([1, -2, 3, 4, 5, -6]);
type Branches = readonly { readonly times: number; readonly ranks?: RankAxis }[];

/** Runs a part whose blocks make so many times x, with two equal ranks of tp and three of ep. */
async function run(context: OpContext, branches: Branches, frame: Omit<Part, "branches">) {
  const { stream } = context;
  const residual = context.tensor("f32", [T, D], x);
  const [order, intos]: [string[], Into[]] = [[], []];
  const rankSum =
    (axis: RankAxis, ranks: number): RankSum =>
    (_, summand) => {
      order.push(axis);
      add(stream, summand, summand, { scale: ranks - 1, out: summand });
    };
  const copied = (values: Tensor) => cast(stream, values, "f32", { out: stream.empty("f32", [T, D]) });
  const block = ({ times, ranks }: Branches[number]): Block => ({
    ...(ranks && { ranks }),
    run(_, { x: own, join }) {
      order.push(`block ${times}`);
      join((into) => {
        intos.push(into);
        const zeros = into.residual ?? add(stream, own, own, { scale: -1 });
        add(stream, zeros, own, { scale: times, out: into.out });
      });
    },
  });
  runPart(
    stream,
    {
      branches: branches.map((branch) => ({ norm: (_, values) => copied(values), block: block(branch) })),
      ...frame,
    },
    residual,
    {
      ...{ inputs: stepInputs(stream, [], new PageTable([1])), tap: () => undefined, ownOf: () => ({}) },
      sums: { tp: rankSum("tp", 2), ep: rankSum("ep", 3) },
    },
  );
  return { made: await context.read(residual), order, isDirect: intos.map(({ out }) => out === residual) };
}

const cases: readonly {
  readonly name: string;
  readonly branches: Branches;
  readonly frame?: { readonly factor?: number; readonly hasNorm?: boolean };
  readonly times: number;
  readonly order: readonly string[];
  readonly isDirect: readonly boolean[];
}[] = [
  {
    ...{ name: "no ranks", branches: [{ times: 5 }, { times: 7 }], times: 13 },
    ...{ order: ["block 5", "block 7"], isDirect: [true, true] },
  },
  {
    ...{ name: "ranks of one axis, summed once", times: 1 + 2 * (5 + 7), isDirect: [false, false] },
    branches: [5, 7].map((times) => ({ times, ranks: "tp" as const })),
    order: ["block 5", "block 7", "tp"],
  },
  {
    ...{ name: "ranks of both, and none", times: 1 + 2 * 5 + 3 * 7 + 11, isDirect: [false, false, true] },
    branches: [{ times: 5, ranks: "tp" }, { times: 7, ranks: "ep" }, { times: 11 }],
    order: ["block 5", "tp", "block 7", "ep", "block 11"],
  },
  {
    ...{ name: "a norm and a factor, behind the sum", frame: { factor: 0.5, hasNorm: true } },
    ...{ times: 1 + 0.5 * 10 * (2 * 5 + 11), isDirect: [false, false] },
    branches: [{ times: 5, ranks: "tp" }, { times: 11 }],
    order: ["block 5", "tp", "block 11", "norm"],
  },
];

describeOp("runPart", cases, async (context, { branches, frame = {}, times, order, isDirect }) => {
  const seen: string[] = [];
  const { factor, hasNorm } = frame;
  const postNorm = hasNorm && {
    postNorm: (_: unknown, values: Tensor) => {
      seen.push("norm");
      return add(context.stream, values, values, { scale: 9 });
    },
  };
  const result = await run(context, branches, { factor, ...postNorm });
  expect(result.made).toEqual(x.map((value) => value * times));
  expect([...result.order, ...seen]).toEqual(order);
  expect(result.isDirect).toEqual(isDirect);
});

const shared = [{ name: "branches with one norm run it once" }];
describeOp("runPart", shared, async (context) => {
  const { stream } = context;
  const residual = context.tensor("f32", [T, D], x);
  const read: Tensor[] = [];
  const norm = (_: unknown, values: Tensor) => add(stream, values, values, { scale: 1 });
  const block: Block = {
    run(_, { x: own, join }) {
      read.push(own);
      join((into) => add(stream, into.residual!, own, { out: into.out }));
    },
  };
  runPart(stream, { branches: [block, block].map((one) => ({ norm, block: one })) }, residual, {
    ...{ inputs: stepInputs(stream, [], new PageTable([1])), tap: () => undefined, ownOf: () => ({}) },
  });
  expect(await context.read(residual)).toEqual(x.map((value) => value * 5));
  expect(read[0]).toBe(read[1]);
});
