// What the kernels behind linear, head_linear and grouped_linear get: the operands, what happens to the sums,
// and the schedule. Host and device share it; a launcher fills it in, schedule.h the last part.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/swiglu.h"
#include "cuda/fault.h"
#include "cuda/gemm/tile_grid.h"

namespace warploop::cuda {

/// out = sums + bias + residual, in f32 until it is stored; with swiglu `function` of gate and up, which
/// are sums + bias, each rounded to gate_dtype.
struct Epilogue {
  const float* bias;     // [columns], with swiglu those of gate and then those of up; or null
  int64_t bias_stride;   // from the biases of a group to those of the next
  const void* residual;  // [rows, columns] or null; may be out
  void* out;             // [rows, columns]
  int64_t residual_stride, out_stride;
  int64_t columns;
  int64_t gap;   // linear.sm90.cu: elements of others behind every `together` columns of out
  int together;  // a multiple of 64; 0: all of them, without gaps
  DType residual_dtype, out_dtype;
  DType gate_dtype;  // f32: not rounded
  bool quads;        // every four columns from a multiple of 4 on may be read and written as one vector
  bool swiglu;       // panels of 16 weight rows alternate gate and up; half as many columns, no residual
  Swiglu function;   // with swiglu
};

/// Experts: rows [offsets[e], offsets[e + 1]) take the e-th weight; row r reads x[order[r] / top_k].
struct Groups {
  const int32_t* offsets;  // [count + 1]; null: one dense product
  const int32_t* order;    // [rows] or null
  int count;
  int top_k;
  FaultSite decreasing, outside, bad_order;
};

/// Axis y of the grid: head h has a product of its own, with the h-th weight. A dense product has one.
struct Heads {
  int count;
  int64_t x_stride, out_stride;  // elements from one head to the next
};

struct Product {
  const void* x;  // rows of K elements
  int64_t x_stride, x_rows;
  const void* weight;   // rows of padded_K elements (formats/dense.h), group after group
  int64_t weight_rows;  // of one group; a multiple of 16
  int64_t rows;         // of out
  int K, padded_K;
  Groups groups;
  Heads heads;
  Epilogue epilogue;
  // the schedule, of each head
  TileGrid tiles;
  int splits;          // blocks that share the K of one tile
  float* partials;     // their sums
  uint32_t* counters;  // one per tile of all heads: how many have arrived
};

}  // namespace warploop::cuda
