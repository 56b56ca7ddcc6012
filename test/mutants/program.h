// What the programs of the mutant suite share. Each program runs one kernel on a small problem with an answer
// known exactly; mutants.mjs compiles it with a planted bug, run.mjs says who notices. The frame is that of
// the conformance suite of the device wrappers, test/atoms.
#pragma once
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

#include "atom.h"
#include "cuda/cuda_context.h"

namespace warploop::mutants {

using atoms::bits16;
using atoms::pick;
using atoms::Run;
using atoms::table;

/// Integers in [-3, 3]: their products and sums of up to 2^20 of them are exact in f32.
inline int small_integer(size_t i, uint32_t salt) {
  return static_cast<int>(pick(static_cast<uint32_t>(i) * 2654435761u + salt, 7)) - 3;
}
/// [rows, stride] of bf16, of which `columns` of each row are small integers and the others NaN.
inline std::vector<uint16_t> matrix(int rows, int columns, int stride, uint32_t salt) {
  return table(static_cast<size_t>(rows * stride), [&](size_t i) -> uint16_t {
    return static_cast<int>(i) % stride < columns ? bits16(small_integer(i, salt), false) : 0x7fc0;
  });
}
/// out[i, j] = sum of a[i, k] b[j, k], the columns from `columns` on as they were before: 0xff bytes.
inline std::vector<float> product(int rows, int columns, int K, int out_stride, int a_stride, uint32_t a_salt,
                                  int b_stride, uint32_t b_salt) {
  return table(static_cast<size_t>(rows * out_stride), [&](size_t at) -> float {
    const int i = static_cast<int>(at) / out_stride, j = static_cast<int>(at) % out_stride;
    if (j >= columns) return std::numeric_limits<float>::quiet_NaN();
    int sum = 0;
    for (int k = 0; k < K; k++) {
      sum += small_integer(static_cast<size_t>(i * a_stride + k), a_salt) *
             small_integer(static_cast<size_t>(j * b_stride + k), b_salt);
    }
    return static_cast<float>(sum);
  });
}

}  // namespace warploop::mutants
