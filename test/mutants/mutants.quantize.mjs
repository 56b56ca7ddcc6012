// Planted bugs in the codes that a load makes, and in the order of inputs that some codes have; see mutants.mjs.

const quantize = { file: "native/ops/quantize/quantize.cu", table: "test/ops/quantize.test.ts" };
const gather = { file: "native/ops/gather_inputs/gather_inputs.cu", table: "test/ops/gatherInputs.test.ts" };

/** @type {import("./mutants.mjs").TableMutant[]} */
export const quantizeMutants = [
  {
    name: "quantize-short-group",
    bug: "the last group of a row goes on in the next row",
    edits: [["first + p.each < K ? first + p.each : K;", "first + p.each;"]],
    cases: "the last one short",
    ...quantize,
  },
  {
    name: "quantize-lowest-of-a-lane",
    bug: "the lowest element is that of one lane",
    edits: [["lowest = -max_lanes(-lowest);", ""]],
    cases: "int4|packed4|groups",
    ...quantize,
  },
  {
    name: "quantize-last-best",
    bug: "the scale tried last wins over an equal or better one",
    edits: [["if (step == 0 || sum < least) best = scale;", "best = scale;"]],
    cases: "groups",
    ...quantize,
  },
  {
    name: "quantize-error-of-lane",
    bug: "each lane chooses the scale that is best for its own elements",
    edits: [["sum = sum_lanes(sum);", ""]],
    cases: "groups",
    ...quantize,
  },
  {
    name: "quantize-nibbles-turned",
    bug: "the first of eight codes lies highest",
    edits: [["<< (4 * i);", "<< (28 - 4 * i);"]],
    cases: "groups",
    ...quantize,
  },
  {
    name: "gather-first-expert",
    bug: "all rows have the input order of the first expert",
    edits: [["p.input_order[expert * p.input_order_stride + k]", "p.input_order[k]"]],
    cases: "experts, some of them without rows",
    ...gather,
  },
  {
    name: "gather-rows-of-tokens",
    bug: "a row's place in the order counts as its token, whatever top-k is",
    edits: [["return source / p.top_k;", "return source % p.S;"]],
    cases: "rows by their experts",
    ...gather,
  },
  {
    name: "gather-strides-of-result",
    bug: "rows of x are taken to lie as those of the result",
    edits: [["return source * p.x.strides[2] + input;", "return source * p.K + input;"]],
    cases: "columns",
    ...gather,
  },
];
