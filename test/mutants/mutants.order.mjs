// Planted bugs in the order of kernels of which one may start before the other has ended (cuda/device/predecessors.cuh): a wait
// that is missing or too late; see mutants.mjs.

const wait = "  wait_for_predecessors();\n";

const narrow = "native/cuda/attention/narrow.cuh";
const streaming = "native/cuda/gemm/streaming.cuh";
const gather = "native/ops/table_gather/table_gather.cu";

/** @type {import("./mutants.mjs").Mutant[]} */
export const orderMutants = [
  {
    name: "order-norm",
    bug: "rmsNorm does not wait",
    file: "native/ops/rms_norm/rms_norm.cu",
    edits: [[wait, ""]],
    table: "test/ops/rmsNorm.test.ts",
    cases: "simt",
  },
  {
    name: "order-norm-late",
    bug: "rmsNorm reads x before it waits",
    file: "native/ops/rms_norm/rms_norm.cu",
    edits: [
      [wait, ""],
      ["  float squares = 0;\n", `${wait}  float squares = 0;\n`],
    ],
    table: "test/ops/rmsNorm.test.ts",
    cases: "simt",
  },
  {
    name: "order-linear",
    bug: "linear on Hopper does not wait",
    file: "native/ops/linear/linear.sm90.cu",
    edits: [[wait, ""]],
    table: "test/ops/tileBordersProducts.test.ts",
    cases: "simt tile .*h64x128",
  },
  {
    name: "order-streaming",
    bug: "linear of few rows does not wait",
    file: streaming,
    edits: [[wait, ""]],
    table: "test/ops/linear.test.ts",
    cases: "simt",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "order-streaming-late",
    bug: "linear of few rows reads the first stages of x before it waits",
    file: streaming,
    edits: [
      [wait, ""],
      ["  StreamProduct<T, Shape> product;\n", `${wait}  StreamProduct<T, Shape> product;\n`],
    ],
    table: "test/ops/linear.test.ts",
    cases: "simt",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "order-attention",
    bug: "attention of few queries does not wait",
    file: narrow,
    edits: [[wait, ""]],
    table: "test/ops/pagedAttention.test.ts",
    cases: "simt",
    kernels: ["native/cuda/attention/instances/bf16_64.cu", "native/cuda/attention/instances/f16_64.cu"],
  },
  {
    name: "order-counter",
    bug: "attention of few queries reads a counter before it waits",
    file: narrow,
    edits: [
      [wait, ""],
      [
        "  ItemQueue queue(p, plan, kNarrow, shared.slot);\n",
        `${wait}  ItemQueue queue(p, plan, kNarrow, shared.slot);\n`,
      ],
    ],
    table: "test/ops/pagedAttention.test.ts",
    cases: "simt",
    kernels: ["native/cuda/attention/instances/bf16_64.cu", "native/cuda/attention/instances/f16_64.cu"],
  },
  {
    name: "order-sample",
    bug: "sample: the kernel that draws does not wait for the one that cuts",
    file: "native/ops/sample/sample.cu",
    edits: [
      [
        "choose_kernel(const __grid_constant__ SampleArguments p) {\n  wait_for_predecessors();\n",
        "choose_kernel(const __grid_constant__ SampleArguments p) {\n",
      ],
    ],
    table: "test/ops/sample.test.ts",
    cases: "simt",
  },
  {
    name: "order-early-end",
    bug: "moeCombine: threads without a column end without having waited",
    file: "native/ops/moe_combine/moe_combine.cu",
    edits: [
      [wait, ""],
      ["  if (index >= p.grid.total) return;\n", `  if (index >= p.grid.total) return;\n${wait}`],
    ],
    table: "test/ops/moeCombine.test.ts",
    cases: "simt",
  },
  {
    name: "order-plain",
    bug: "tableGather reads rows and columns before it waits",
    program: "order",
    file: gather,
    edits: [
      [wait, ""],
      ["  if (row == -1) {\n", `${wait}  if (row == -1) {\n`],
    ],
    foundBy: ["race"],
  },
  {
    name: "order-no-wait",
    bug: "tableGather does not wait",
    program: "order",
    file: gather,
    edits: [[wait, ""]],
    foundBy: ["naive", "adversarial", "race"],
  },
];
