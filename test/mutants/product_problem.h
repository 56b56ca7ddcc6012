// A product of small integers for the programs that run one: inputs, and an f32 output that nothing has touched.
#pragma once
#include "cuda/gemm/product.h"
#include "program.h"

namespace warploop::mutants {

struct ProductSizes {
  int rows, columns, padded_columns, K;
  int x_stride, out_stride;
};

/// x has salt 1, the weight salt 2; tiles, splits and groups are left to the program.
inline cuda::Product product_problem(Run& run, const ProductSizes& s) {
  cuda::Product p{};
  p.x = run.upload(matrix(s.rows, s.K, s.x_stride, 1));
  p.x_stride = s.x_stride;
  p.x_rows = p.rows = s.rows;
  p.weight = run.upload(matrix(s.padded_columns, s.K, s.K, 2));
  p.weight_rows = s.padded_columns;
  p.K = p.padded_K = s.K;
  p.epilogue.out = run.output<float>(s.rows * s.out_stride);
  p.epilogue.out_stride = s.out_stride;
  p.epilogue.out_dtype = DType::f32;
  p.epilogue.columns = s.columns;
  p.epilogue.quads = true;
  return p;
}

/// What the output has to be.
inline std::vector<float> product_answer(const ProductSizes& s) {
  return product(s.rows, s.columns, s.K, s.out_stride, s.x_stride, 1, s.K, 2);
}

}  // namespace warploop::mutants
