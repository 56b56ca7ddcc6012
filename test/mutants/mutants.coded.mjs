// Planted bugs in products with weights of codes on a GPU; see mutants.mjs.

const table = "test/ops/linear.codes.test.ts";
const kernels = ["native/ops/linear/linear.coded.cu"];
const streaming = { file: "native/cuda/gemm/coded_streaming.cuh", table, kernels };

/** @type {import("./mutants.mjs").TableMutant[]} */
export const codedMutants = [
  {
    name: "coded-part-of-the-first",
    bug: "all parts of a chunk have the scale of its first",
    edits: [["part_scale<kCodes>(weight, record, index)", "part_scale<kCodes>(weight, record, 0)"]],
    cases: "whole pieces of x",
    ...streaming,
  },
  {
    name: "coded-rows-of-a-half",
    bug: "rows 8 to 15 of a panel have the scales of rows 0 to 7",
    edits: [["records[half * 8 + lane_index() / 4]", "records[lane_index() / 4]"]],
    cases: "whole pieces of x",
    ...streaming,
  },
  {
    name: "coded-minimum-kept",
    bug: "the sum of x is not taken off where a weight has minima",
    edits: [["if (weight.numbers.offset != OffsetType::none) add_up(x, xs);", ""]],
    cases: "whole pieces of x",
    ...streaming,
  },
  {
    name: "coded-x-of-the-other-step",
    bug: "the second step of mma reads the x of the first",
    edits: [["[g * 8 + step * 4 + t]", "[g * 8 + t]"]],
    cases: "whole pieces of x",
    ...streaming,
  },
  {
    name: "coded-sign",
    bug: "negative int8 codes are 128 too large in bf16",
    edits: [["sign = (fields & 0x00800080u) | 0x43004300u;", "sign = 0x43004300u;"]],
    cases: "whole pieces of x.*int8 by rows",
    file: "native/cuda/device/unpack_codes.cuh",
    table,
    kernels,
  },
  {
    name: "coded-parts-of-a-strip",
    bug: "a copy of the weight as numbers begins at its first row",
    edits: [["matrix * weight_.data.size(1) + first, out", "matrix * weight_.data.size(1), out"]],
    cases: "linear: strips",
    file: "native/cuda/gemm/coded_schedule.h",
    table: "test/ops/codedKernels.test.ts",
    kernels: ["native/ops/linear/linear.cu"],
  },
];
