// Planted bugs that lose an offset beyond 32 bits, one for each way in which kernels address memory; see mutants.mjs.

/** @type {import("./mutants.mjs").TableMutant[]} */
export const offsetMutants = [
  {
    name: "kv-row-int",
    bug: "kvStore: row of a page",
    file: "native/ops/kv_store/kv_store.cu",
    edits: [
      [
        "        const int64_t row =\n            slot / p.page_size",
        "        const int row =\n            slot / p.page_size",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "kvStore, axis 0, heads of 24",
  },
  {
    name: "page-value-int",
    bug: "attention: page of values",
    file: "native/cuda/attention/key_ring.cuh",
    edits: [
      [
        "          page * v.strides[0] + at * v.strides[1]",
        "          static_cast<int>(page * v.strides[0]) + at * v.strides[1]",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "pagedAttention, decode, bf16",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "page-table-int",
    bug: "attention: row of the page table",
    file: "native/cuda/attention/key_ring.cuh",
    edits: [
      [
        "[s.item.pages * s.p.page_table.strides[0] + index]",
        "[static_cast<int>(s.item.pages * s.p.page_table.strides[0]) + index]",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "pagedAttention, decode, bf16",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "row-offset-int-tiles",
    bug: "attention: rows of q and out",
    file: "native/cuda/attention/items.cuh",
    edits: [
      [
        "  return (item.first_query + row / group) * t.strides[0] +",
        "  return static_cast<int>((item.first_query + row / group) * t.strides[0]) +",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "pagedAttention, prompt, bf16",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "row-offset-int-merge",
    bug: "attention: rows of out, merged spans",
    file: "native/cuda/attention/merge.cuh",
    edits: [["  const int64_t at = row_offset(p.out,", "  const int at = row_offset(p.out,"]],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "flashAttention, spans, f32",
    kernels: ["native/cuda/attention/attention.cu"],
  },
  {
    name: "exact-value-int",
    bug: "attention: values of rows that are computed anew",
    file: "native/cuda/attention/exact.cuh",
    edits: [
      [
        "          const int64_t at = find_row(source_, j).value;",
        "          const int at = find_row(source_, j).value;",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "pagedAttention, hidden NaN",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "sm90-mend-int",
    bug: "flashAttention on Hopper: values of rows that are computed anew",
    file: "native/ops/flash_attention/flash_attention.sm90.cu",
    edits: [
      [
        "[&](int j) { return v + j * p.v.stride(0); }",
        "[&](int j) { return v + static_cast<int>(j * p.v.stride(0)); }",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "flashAttention, hidden NaN",
  },
  {
    name: "sm90-lse-int",
    bug: "flashAttention on Hopper: rows of lse",
    file: "native/ops/flash_attention/flash_attention.sm90.cu",
    edits: [
      [
        "a.p.lse.template as<float>()[(plan.tile.first_row + mine) * a.p.lse.stride(0) +",
        "a.p.lse.template as<float>()[(plan.tile.first_row + mine) * (int)a.p.lse.stride(0) +",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "simt flashAttention \\{",
  },
  {
    name: "gather-int",
    bug: "tableGather: row of the table",
    file: "native/ops/table_gather/table_gather.cu",
    edits: [
      [
        "  p.out[t] = p.table[row * p.row_stride + col];",
        "  p.out[t] = p.table[static_cast<int32_t>(row * p.row_stride + col)];",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "tableGather",
  },
  {
    name: "scatter-int",
    bug: "tableScatter: row of the table",
    file: "native/ops/table_scatter/table_scatter.cu",
    edits: [
      ["p.table[row * p.row_stride + col] =", "p.table[static_cast<int32_t>(row * p.row_stride) + col] ="],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "tableScatter",
  },
  {
    name: "embedding-int",
    bug: "embedding: row of the table",
    file: "native/ops/embedding/embedding.cu",
    edits: [
      [
        "load_vector<kVector>(p.table, id * p.table.strides[2] +",
        "load_vector<kVector>(p.table, static_cast<int>(id * p.table.strides[2]) +",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "embedding",
  },
];
