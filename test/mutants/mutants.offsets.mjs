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
        "          place.page * v.strides[0] + place.at * v.strides[1]",
        "          static_cast<int>(place.page * v.strides[0]) + place.at * v.strides[1]",
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
    cases: "pagedAttention, tiles",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "any-q-int",
    bug: "attention without tensor cores: rows of q",
    file: "native/cuda/attention/any.cuh",
    edits: [
      ["      const int64_t at = valid ? row_offset(p_.q,", "      const int at = valid ? row_offset(p_.q,"],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "flashAttention, f32",
    kernels: ["native/cuda/attention/attention.cu"],
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
        "    const int64_t at = sees(j) ? find_row(source_, j).value : -1;",
        "    const int at = sees(j) ? find_row(source_, j).value : -1;",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "pagedAttention, hidden NaN",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "hopper-lse-int",
    bug: "attention: rows of lse",
    file: "native/cuda/attention/items.cuh",
    edits: [["p.lse.as<float>()[row_offset(", "p.lse.as<float>()[(int)row_offset("]],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "simt flashAttention \\{",
    kernels: ["native/cuda/attention/instances/bf16_64.sm90.cu"],
  },
  {
    name: "hopper-map-int",
    bug: "attention on Hopper: strides of keys without pages, as the copy engine has them",
    file: "native/cuda/attention/launch_hopper.cuh",
    edits: [["static_cast<uint64_t>(2 * (sizes[i + 1]", "static_cast<uint32_t>(2 * (sizes[i + 1]"]],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "simt flashAttention \\{",
    kernels: ["native/cuda/attention/instances/bf16_64.sm90.cu"],
  },
  {
    name: "hopper-mend-int",
    bug: "attention: values of rows that the Hopper kernel has spoilt",
    file: "native/cuda/attention/exact.cuh",
    edits: [["p_.v.as<T>() + at : nullptr;", "p_.v.as<T>() + static_cast<int>(at) : nullptr;"]],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "flashAttention, hidden NaN, last keys",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "stream-weight-int",
    bug: "linear: rows of the weight, few rows of x",
    file: "native/cuda/gemm/streaming.cuh",
    edits: [
      [
        "    w = static_cast<const uint16_t*>(p.weight) + (rows.group * p.weight_rows + first_column + g) * p.padded_K;",
        "    w = static_cast<const uint16_t*>(p.weight) + static_cast<int>((rows.group * p.weight_rows + first_column + g) * p.padded_K);",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "the last columns .*8x16",
    kernels: ["native/ops/linear/linear.cu"],
  },
  {
    name: "sm90-grouped-x-int",
    bug: "groupedLinear on Hopper: gathered rows of x",
    file: "native/ops/grouped_linear/grouped_linear.sm90.cuh",
    edits: [
      [
        "valid ? from + source[i] * p.x_stride * 2 : p.x",
        "valid ? from + source[i] * static_cast<int>(p.x_stride) * 2 : p.x",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "groupedLinear, (2|160) rows$",
  },
  {
    name: "span-residual-int",
    bug: "linear on Hopper: rows of the residual",
    file: "native/cuda/gemm/tile_store.cuh",
    edits: [
      [
        "  const S* data = static_cast<const S*>(e.residual) + row * e.residual_stride + column;",
        "  const S* data = static_cast<const S*>(e.residual) + static_cast<int>(row * e.residual_stride) + column;",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "linear, tile h64x128, residual not aligned",
    kernels: ["native/ops/linear/linear.sm90.cu"],
  },
  {
    name: "gather-int",
    bug: "tableGather: row of the table",
    file: "native/ops/table_gather/table_gather.cu",
    edits: [
      [
        "  p.out[i] = p.table[row * p.row_stride + col];",
        "  p.out[i] = p.table[static_cast<int32_t>(row * p.row_stride + col)];",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "tableGather",
  },
  {
    name: "step-pool-int",
    bug: "stepInputs: row of the token pool",
    file: "native/ops/step_inputs/step_inputs.cu",
    edits: [
      [
        "s.row * p.token_pool.stride(0) + s.start;",
        "static_cast<int32_t>(s.row * p.token_pool.stride(0) + s.start);",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "stepInputs",
  },
  {
    name: "step-table-int",
    bug: "stepInputs: row of a page table",
    file: "native/ops/step_inputs/step_inputs.cu",
    edits: [
      [
        "g * tables.stride(0) + s.row * tables.stride(1) + column",
        "static_cast<int32_t>(g * tables.stride(0) + s.row * tables.stride(1)) + column",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "stepInputs",
  },
  {
    name: "step-padding-writes",
    bug: "stepInputs: padding gets a slot",
    file: "native/ops/step_inputs/step_inputs.cu",
    edits: [["  if (s.is_padding) return -1;\n", ""]],
    table: "test/ops/stepInputs.test.ts",
    cases: "padding",
  },
  {
    name: "step-padding-grows",
    bug: "stepInputs: the length of padding's row grows",
    file: "native/ops/step_inputs/step_inputs.cu",
    edits: [["if (!s.is_padding) p.lengths", "p.lengths"]],
    table: "test/ops/stepInputs.test.ts",
    cases: "padding",
  },
  {
    name: "step-length-early",
    bug: "stepInputs: the length is written while other threads read it",
    file: "native/ops/step_inputs/step_inputs.cu",
    edits: [["  sync_block();  // every thread has read the length\n", ""]],
    table: "test/ops/stepInputs.test.ts",
    cases: "sequence",
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
  {
    name: "rope-table-int",
    bug: "rope: row of the table",
    file: "native/ops/rope/rope.cu",
    edits: [
      [
        "load_f32(p.table, position * p.table.strides[2] + p.half + pair, sines);",
        "load_f32(p.table, static_cast<int>(position * p.table.strides[2]) + p.half + pair, sines);",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "rope, axis 0",
  },
  {
    name: "slice-int",
    bug: "argmax: row of the logits",
    file: "native/cuda/logits/logit_slice.cuh",
    edits: [
      [
        "const int64_t offset = row * logits.strides[kOuterAxes - 1];",
        "const int offset = row * logits.strides[kOuterAxes - 1];",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "argmax",
    kernels: ["native/ops/argmax/argmax.cu"],
  },
  {
    name: "combine-int",
    bug: "moeCombine: gathered row",
    file: "native/ops/moe_combine/moe_combine.cu",
    edits: [
      [
        "load_vector<kVector>(p.y, row * p.y.strides[kRow] + column)",
        "load_vector<kVector>(p.y, static_cast<int>(row * p.y.strides[kRow]) + column)",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "moeCombine",
  },
  {
    name: "route-out-int",
    bug: "moeRoute: row of the weights",
    file: "native/ops/moe_route/moe_route.cu",
    edits: [
      [
        "  float* weights = p.params.weights.as<float>() + t * K;",
        "  float* weights = p.params.weights.as<float>() + static_cast<int>(t * K);",
      ],
    ],
    table: "test/ops/farOffsetsLong.test.ts",
    cases: "moeRoute",
  },
  {
    name: "vectors-int",
    bug: "elementwise: number of the vector",
    file: "native/cuda/device/vectors.cuh",
    edits: [
      [
        "  const int64_t first = static_cast<int64_t>(blockIdx.x) * (kVectorThreads * kBatch) + threadIdx.x;",
        "  const int first = static_cast<int>(blockIdx.x * (kVectorThreads * kBatch) + threadIdx.x);",
      ],
    ],
    table: "test/ops/farOffsetsLong.test.ts",
    cases: "simt add",
    kernels: ["native/ops/add/add.cu"],
  },
  {
    name: "sample-pool-int",
    bug: "sample: row of the token pool",
    file: "native/ops/sample/sample.cu",
    edits: [
      [
        "row[SampleInt::pool_row] * p.token_pool.stride(0);",
        "static_cast<int>(row[SampleInt::pool_row] * p.token_pool.stride(0));",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "sample",
  },
  {
    name: "row-group-int",
    bug: "rmsNorm: number of the row",
    file: "native/cuda/device/row_group.cuh",
    edits: [
      [
        "  const int64_t row = static_cast<int64_t>(blockIdx.x) * groups + thread / schedule.lanes;",
        "  const int row = static_cast<int>(blockIdx.x) * groups + thread / schedule.lanes;",
      ],
    ],
    table: "test/ops/farOffsetsLong.test.ts",
    cases: "rmsNorm, heads of 3",
    kernels: ["native/ops/rms_norm/rms_norm.cu"],
  },
  {
    name: "norm-residual-int",
    bug: "rmsNorm: the residual of what a long row reads again",
    file: "native/ops/rms_norm/rms_norm.cu",
    edits: [
      [
        "load_f32(p.residual, residual_row + vector * kVector, sum);",
        "load_f32(p.residual, static_cast<int>(residual_row + vector * kVector), sum);",
      ],
    ],
    table: "test/ops/farOffsets.test.ts",
    cases: "rmsNorm of long rows, residual true",
  },
  {
    name: "span-f32-int",
    bug: "linear on Hopper: rows of a result of f32",
    file: "native/cuda/gemm/tile_store.cuh",
    edits: [
      [
        "  float* data = static_cast<float*>(e.out) + gaps + row * e.out_stride + column;",
        "  float* data = static_cast<float*>(e.out) + gaps + static_cast<int>(row * e.out_stride) + column;",
      ],
    ],
    table: "test/ops/farOffsetsProducts.test.ts",
    cases: "linear, tile h64x128, results of f32",
    kernels: ["native/ops/linear/linear.sm90.cu"],
  },
  {
    name: "turn-out-int",
    bug: "packLinear: rows of a transposed weight",
    file: "native/ops/pack_linear/pack_linear.cu",
    edits: [
      [
        "      out[packed_row * p.out.strides[2] + k] = plan.square[x][i];",
        "      out[static_cast<int>(packed_row * p.out.strides[2]) + k] = plan.square[x][i];",
      ],
    ],
    table: "test/ops/farOffsetsLong.test.ts",
    cases: "packLinear, transposed",
  },
];
