// Planted bugs that read or write behind a step temporary or a part of the workspace; see mutants.mjs. Results stay right: only
// memory that ends there tells.

/** @type {import("./mutants.mjs").TableMutant[]} */
export const behindMutants = [
  {
    name: "tile-row-behind",
    bug: "linear: the last tile has a row more than there are",
    file: "native/cuda/gemm/row_tiles.cuh",
    edits: [
      [
        "    return {head_index(), static_cast<int>(left < kRows ? left : kRows), first};",
        "    return {head_index(), static_cast<int>(left < kRows ? left + 1 : kRows), first};",
      ],
    ],
    table: "test/ops/linear.test.ts",
    cases: "simt ragged tiles",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "span-inside",
    bug: "linear on Hopper: a span of which one row lies behind the matrix is inside",
    file: "native/cuda/gemm/tile_store.cuh",
    edits: [["row + kSpanRows <= row_end &&", "row + kSpanRows <= row_end + 1 &&"]],
    table: "test/ops/tileBordersProducts.test.ts",
    cases: "simt tile .*h64x128",
    kernels: ["native/ops/linear/linear.sm90.cu"],
  },
  {
    name: "vector-behind",
    bug: "siluMul: a vector behind the last",
    file: "native/cuda/device/vectors.cuh",
    edits: [
      ["    if (index >= grid.total) continue;", "    if (index > grid.total) continue;"],
      [
        "    if (first + i * kVectorThreads < grid.total) store(i);",
        "    if (first + i * kVectorThreads <= grid.total) store(i);",
      ],
    ],
    table: "test/ops/siluMul.test.ts",
    cases: "simt",
    kernels: ["native/ops/silu_mul/silu_mul.cu"],
  },
  {
    name: "plan-totals",
    bug: "attention: sums of earlier spans for one block too few",
    file: "native/cuda/attention/attention.cu",
    edits: [
      [
        "workspace.take<float4>(totals);",
        "workspace.take<float4>(std::max<int64_t>(totals - plan.totals_per_block[kWide], 0));",
      ],
    ],
    table: "test/ops/scratch.test.ts",
    cases: "item for every block",
    kernels: ["native/cuda/attention/attention.cu"],
  },
  {
    name: "permute-totals",
    bug: "moePermute: totals for one expert too few",
    file: "native/ops/moe_permute/moe_permute.cu",
    edits: [
      [
        "arguments.totals = workspace.take<int32_t>(E);",
        "arguments.totals = workspace.take<int32_t>(E - 1);",
      ],
    ],
    table: "test/ops/moePermute.test.ts",
    cases: "simt",
  },
  {
    name: "splits-part-short",
    bug: "linear: sums of splits for a row too few",
    file: "native/cuda/gemm/schedule.h",
    edits: [
      [
        "take<float>(tiles * p.splits * Shape::kRows * Shape::kColumns);",
        "take<float>((tiles * p.splits * Shape::kRows - 1) * Shape::kColumns);",
      ],
    ],
    table: "test/ops/linear.test.ts",
    cases: "simt long rows, shared by blocks, all rows",
    kernels: ["native/ops/linear/linear.cu"],
  },
];
