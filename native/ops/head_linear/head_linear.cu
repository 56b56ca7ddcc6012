// What:      out[t, h] = x[t, h] W_h^T
// Steps:     those of linear's portable kernels (cuda/gemm), which find x, weight and out by the head
// Mapping:   axis y of the grid are the heads; tiles by K, T and the columns of all heads as linear has them,
//            splits where all heads together have too few
// Cost:      T <= 16: H N K weight bytes, memory-bound.  prompt: 2 T H N K flop
// Numerics:  as linear: f32 sums, rounded once; a row's last bits depend on T, never on the run
// Limits:    no Hopper kernel: between them and mlaAttention a step spends its time elsewhere
#include "ops/head_linear/head_linear.h"

#include "cuda/gemm/heads.h"
#include "cuda/gemm/schedule.h"

namespace warploop::cuda {

namespace {

/// That of the first head, [T, width].
TensorView first_head(TensorView t) {
  t.rank = 2;
  t.sizes[1] = t.sizes[2];
  t.strides[1] = t.strides[2];
  t.sizes[2] = 1;
  t.strides[2] = 0;
  return t;
}

}  // namespace

void head_linear(const HeadLinearParams& p, CudaContext& context) {
  const TensorView x = first_head(p.x), out = first_head(p.out);
  const auto steps_by = [](const TensorView& t, int64_t elements) {
    return t.size(1) <= 1 || t.stride(1) % elements == 0;
  };
  Product product = product_of(x, p.weight, out, context);
  product.heads = {static_cast<int>(p.x.size(1)), p.x.stride(1), p.out.stride(1)};
  product.epilogue.quads = product.epilogue.quads && steps_by(p.out, 4);
  const bool aligned = pieces_of_16_bytes(x) && steps_by(p.x, 8);
  multiply_heads(product, p.x.dtype, p.weight.data.dtype, aligned, context);
}

}  // namespace warploop::cuda
