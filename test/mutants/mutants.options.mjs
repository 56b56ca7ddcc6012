// Planted bugs that ignore an option, take the wrong dtype, or multiply where they should select; see mutants.mjs.

/** @type {import("./mutants.mjs").TableMutant[]} */
export const optionMutants = [
  {
    name: "rope-f16-odd",
    bug: "rope: halves that are not whole vectors, of f16, are read as f32",
    file: "native/cuda/device/vectors.cuh",
    edits: [
      [
        "  } else if (kVector == 8 || dtype == DType::f16) {\n    widen_as<f16>",
        "  } else if (kVector == 8 || (kVector > 1 && dtype == DType::f16)) {\n    widen_as<f16>",
      ],
    ],
    table: "test/ops/rope.test.ts",
    cases: "simt half of 17, f16",
    kernels: ["native/ops/rope/rope.cu"],
  },
  {
    name: "wide-scale-sign",
    bug: "attention, many rows: the sign of the scale is lost",
    file: "native/cuda/attention/wide.cuh",
    edits: [["      if (i == 0 && negates(p_)) negate<S::kRows * S::kDh, S::kThreads>(shared_.q);\n", ""]],
    table: "test/ops/everyKernel.test.ts",
    cases: "Attention on every kernel.*tiles', scale: -0.2",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "narrow-scale-sign",
    bug: "attention, few rows: the sign of the scale is lost",
    file: "native/cuda/attention/narrow.cuh",
    edits: [["      if (i == 0 && negates(p_)) negate<kNarrowRows * S::kDh, S::kThreads>(shared_.q);\n", ""]],
    table: "test/ops/everyKernel.test.ts",
    cases: "Attention on every kernel.*tiles', scale: -0.2",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "hopper-scale-zero",
    bug: "attention on Hopper: hidden scores times a scale of 0",
    file: "native/cuda/attention/scores.cuh",
    edits: [["fmaxf(fabsf(score_unit(p)), kLeast)", "fabsf(score_unit(p))"]],
    table: "test/ops/everyKernel.test.ts",
    cases: "flashAttention on every kernel.*hopper', scale: \\+?0,",
    kernels: ["native/cuda/attention/instances/bf16_64.sm90.cu"],
  },
  {
    name: "visible-window-not-causal",
    bug: "attention: no window without causal",
    file: "native/cuda/attention/items.cuh",
    edits: [
      [
        "return {first_of_window(p, position), end};",
        "return {p.causal ? first_of_window(p, position) : 0, end};",
      ],
    ],
    table: "test/ops/everyKernel.test.ts",
    cases: "flashAttention on every kernel.*tiles', scale: 0.2, causal: false, window: 20",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "merge-no-lse",
    bug: "attention: no lse of merged spans",
    file: "native/cuda/attention/merge.cuh",
    edits: [["    if (final && p.lse)", "    if (!final && p.lse)"]],
    table: "test/ops/everyKernel.test.ts",
    cases: "flashAttention on every kernel.*tiles', scale: 0.2, causal: true, window: \\+?0, withLse: true",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "out-f16-as-bf16",
    bug: "attention: f16 results are rounded to bf16",
    file: "native/cuda/attention/items.cuh",
    edits: [
      [
        "*reinterpret_cast<uint32_t*>(out.as<f16>() + at) = pack_pair<f16>(a, b);",
        "*reinterpret_cast<uint32_t*>(out.as<f16>() + at) = pack_pair<bf16>(a, b);",
      ],
    ],
    table: "test/ops/everyKernel.test.ts",
    cases: "pagedAttention on every kernel.*tiles', scale: 0.2.*out: 'f16'",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "hopper-dtype",
    bug: "attention on Hopper: f16 is read as bf16",
    file: "native/cuda/attention/instances/f16_64.sm90.cu",
    edits: [["HopperShape<f16, 64, 64, 128, 2>", "HopperShape<bf16, 64, 64, 128, 2>"]],
    table: "test/ops/everyKernel.test.ts",
    cases: "flashAttention on every kernel.*hopper', scale: 0.2, causal: true",
  },
  {
    name: "sm90-residual-f16",
    bug: "linear on Hopper: an f16 residual is read as bf16",
    file: "native/cuda/gemm/tile_store.cuh",
    edits: [
      [
        "  } else if (e.residual_dtype == DType::bf16) {\n    add_residual_of<bf16>(v, e, span);\n  } else {\n    add_residual_of<f16>(v, e, span);",
        "  } else {\n    add_residual_of<bf16>(v, e, span);",
      ],
    ],
    table: "test/ops/everyKernel.test.ts",
    cases: "linear on every kernel.*hopper.*f16",
    kernels: ["native/ops/linear/linear.sm90.cu"],
  },
  {
    name: "rope-k-interleaved",
    bug: "rope: interleaved counts for q alone",
    file: "native/ops/rope/rope.cu",
    edits: [
      [
        "rotate_pairs(u, v, cosines, sines, p.interleaved);",
        "rotate_pairs(u, v, cosines, sines, p.interleaved && blockIdx.y == 0);",
      ],
    ],
    table: "test/ops/rope.test.ts",
    cases: "interleaved",
  },
  {
    name: "rms-rest-residual",
    bug: "rmsNorm: the residual of what a row has beyond the registers",
    file: "native/ops/rms_norm/rms_norm.cu",
    edits: [
      [
        "    if (p.residual) {\n      load_f32(p.residual, residual_row + vector * kVector, values);\n    } else {",
        "    if (false) {\n    } else {",
      ],
    ],
    table: "test/ops/rmsNorm.test.ts",
    cases: "simt",
  },
  {
    name: "min-p-temperature",
    bug: "sample: min-p at another temperature",
    file: "native/ops/sample/sample.cu",
    edits: [
      [
        "std::log(fmin(static_cast<double>(min_p), 1.0)) * temperature.value;",
        "std::log(fmin(static_cast<double>(min_p), 1.0));",
      ],
    ],
    table: "test/ops/sample.test.ts",
    cases: "simt",
  },
  {
    name: "suppressed-length",
    bug: "sample: suppressed tokens stay so at the least length",
    file: "native/ops/sample/sample.cu",
    edits: [["position() < (*this)[SampleInt::min_length]", "position() <= (*this)[SampleInt::min_length]"]],
    table: "test/ops/sample.suppressed.test.ts",
    cases: "simt",
  },
  {
    name: "suppressed-unprocessed",
    bug: "sample: a row with nothing but suppressed tokens is not written down",
    file: "native/ops/sample/sample.cu",
    edits: [["args.params.bias_ids || is_suppressed() || penalized", "args.params.bias_ids || penalized"]],
    table: "test/ops/sample.suppressed.test.ts",
    cases: "simt",
  },
  {
    name: "sm90-grouped-k-tail",
    bug: "groupedLinear on Hopper: columns of x beyond K",
    file: "native/ops/grouped_linear/grouped_linear.sm90.cuh",
    edits: [["const bool valid = column < p.K && source[i] >= 0;", "const bool valid = source[i] >= 0;"]],
    table: "test/ops/groupedLinear.test.ts",
    cases: "simt",
  },
  {
    name: "route-scale",
    bug: "moeRoute: the scale of weights that are not renormalised",
    file: "native/ops/moe_route/moe_route.cu",
    edits: [
      [
        "(p.params.renormalize && sum != 0 ? chosen / sum : chosen) * p.params.scale;",
        "p.params.renormalize && sum != 0 ? chosen / sum * p.params.scale : chosen;",
      ],
    ],
    table: "test/ops/moeRoute.test.ts",
    cases: "not renormalised, scaled",
  },
  {
    name: "rope-partial-sine",
    bug: "rope: sines in the middle of the table's stride",
    file: "native/ops/rope/rope.cu",
    edits: [
      [
        "position * p.table.strides[2] + p.half + pair, sines);",
        "position * p.table.strides[2] + p.table.strides[2] / 2 + pair, sines);",
      ],
    ],
    table: "test/ops/rope.test.ts",
    cases: "strided table",
  },
  {
    name: "sm90-stream-swiglu",
    bug: "groupedLinear on Hopper: columns of swiglu, few rows",
    file: "native/ops/grouped_linear/grouped_linear.stream.sm90.cu",
    edits: [["column = e.swiglu ? weight / 2 : weight;", "column = weight;"]],
    table: "test/ops/everyKernel.test.ts",
    cases: "groupedLinear on every kernel.*hopper.*swiglu: true",
  },
  {
    name: "softmax-score-times",
    bug: "softmax: -inf is added to hidden scores: a hidden NaN stays",
    file: "native/ops/softmax/softmax.cu",
    edits: [
      [
        "values[j] = vector * kVector + j < seen ? values[j] * p.scale : -INFINITY;",
        "values[j] = values[j] * p.scale + (vector * kVector + j < seen ? 0.0f : -INFINITY);",
      ],
    ],
    table: "test/ops/softmax.test.ts",
    cases: "NaN in each row",
  },
  {
    name: "exact-scale",
    bug: "attention: the sign of the scale is lost where a row is mended",
    file: "native/cuda/attention/exact.cuh",
    edits: [["score_unit(p), -base", "fabsf(score_unit(p)), -base"]],
    table: "test/ops/attentionMasks.test.ts",
    cases: "simt negative scale, bf16",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "exact-causal",
    bug: "attention: mended rows are causal",
    file: "native/cuda/attention/exact.cuh",
    edits: [
      [
        "last_ = std::min(seen.end, item.last_key);",
        "last_ = std::min(std::min(seen.end, position_of(item, plan.group, packed) + 1), item.last_key);",
      ],
    ],
    table: "test/ops/attentionMasks.test.ts",
    cases: "simt tiles and blocks, 64, window, not causal",
    kernels: ["native/cuda/attention/instances/bf16_64.cu"],
  },
  {
    name: "pack-swiglu-turn",
    bug: "packLinear: no swiglu order of a transposed weight",
    file: "native/ops/pack_linear/pack_linear.cu",
    edits: [
      [
        "? p.params.part().source_row(p.packed_row + first_row + x)\n",
        "? (first_row + x < p.params.rows() ? first_row + x : PartOfWeight::kZeros)\n",
      ],
    ],
    table: "test/ops/packLinear.test.ts",
    cases: "simt transposed",
  },
  {
    name: "pack-axes",
    bug: "packLinear: rows by the last of their axes alone",
    file: "native/ops/pack_linear/pack_linear.cu",
    edits: [["offset_of(p.weight, place_of(p.weight_shape, row)) + k", "row * p.weight.strides[2] + k"]],
    table: "test/ops/linearWeight.test.ts",
    cases: "rows that are axes",
  },
  {
    name: "pack-others",
    bug: "packLinear: zeros over the rows of other parts",
    file: "native/ops/pack_linear/pack_linear.cu",
    edits: [["out_offsets[i] = row == PartOfWeight::kOthers ? -1 : offset_of", "out_offsets[i] = offset_of"]],
    table: "test/ops/linearWeight.test.ts",
    cases: "panels of several parts",
  },
  {
    name: "convert-8",
    bug: "embedding: vectors of 8 keep their dtype",
    file: "native/cuda/device/vectors.cuh",
    edits: [
      [
        "  if (from == to) return vector;\n  float values[kVector];",
        "  if (from == to || kVector == 8) return vector;\n  float values[kVector];",
      ],
    ],
    table: "test/ops/everyVector.test.ts",
    cases: "simt embedding",
    kernels: ["native/ops/embedding/embedding.cu"],
  },
  {
    name: "layer-rest",
    bug: "layerNorm: the dtype of what a row has beyond the registers",
    file: "native/ops/layer_norm/layer_norm.cu",
    edits: [
      [
        "load_floats(p.x, x_row + vector * kVector, values);",
        "widen(load_vector<kVector>(p.x, x_row + vector * kVector), p.out.dtype, values);",
      ],
    ],
    table: "test/ops/everyVector.test.ts",
    cases: "simt layerNorm.*from: bf16",
  },
  {
    name: "softmax-scale-rest",
    bug: "softmax: the scale of what a row has beyond the registers",
    file: "native/ops/softmax/softmax.cu",
    edits: [
      [
        "? values[j] * p.scale : -INFINITY;",
        "? values[j] * (vector < kCount * group.lanes ? p.scale : 1.0f) : -INFINITY;",
      ],
    ],
    table: "test/ops/softmax.test.ts",
    cases: "simt one long row, scale",
  },
  {
    name: "sm90-grouped-swiglu",
    bug: "groupedLinear on Hopper: columns of swiglu, many rows, second tile",
    file: "native/ops/grouped_linear/grouped_linear.sm90.cu",
    edits: [
      [
        "const Span span{row, row_end, tile.weight / 2 + s * kSpanColumns};",
        "const Span span{row, row_end, tile.weight + s * kSpanColumns};",
      ],
    ],
    table: "test/ops/everyKernel.test.ts",
    cases: "groupedLinear on every kernel.*hopper.*swiglu: true",
  },
];
