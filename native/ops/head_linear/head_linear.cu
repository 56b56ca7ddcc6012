// What:      out[t, h] = x[t, h] W_h^T
// Steps:     those of linear's portable kernels (cuda/gemm), which find x, weight and out by the head; where
//            all heads read one x, on Hopper one product with the columns of all heads (linear.sm90.cu)
// Mapping:   axis y of the grid are the heads; tiles by K, T and the columns of all heads as linear has them,
//            splits where all heads together have too few
// Cost:      T <= 16: H N K weight bytes, memory-bound.  prompt: 2 T H N K flop
// Numerics:  as linear: f32 sums, rounded once; a row's last bits depend on T, never on the run
// Limits:    no Hopper kernel where each head has rows of its own: memory is the limit there
#include "ops/head_linear/head_linear.h"

#include "cuda/choose.h"
#include "cuda/gemm/coded_schedule.h"
#include "cuda/gemm/heads.h"
#include "ops/linear/linear.sm90.h"

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

/// All heads as one product: their matrices lie one behind the other, if those fill their panels.
LinearParams side_by_side(const HeadLinearParams& p) {
  LinearParams all{};
  all.x = first_head(p.x);
  all.weight = p.weight;
  all.weight.outputs *= p.weight.data.size(0);
  all.weight.data.sizes[0] = 1;
  all.weight.data.sizes[1] *= p.weight.data.size(0);
  all.out = first_head(p.out);
  all.out.sizes[1] *= p.weight.data.size(0);
  return all;
}

const char* refuse_shared(const HeadLinearParams& p, const CudaContext& context) {
  const bool is_one = p.x.size(1) <= 1;
  if (!is_one && p.x.stride(1) != 0) return "each head has rows of its own";
  if (p.out.size(2) % 64 != 0) return "N is not a multiple of 64";
  if (!is_one && p.out.stride(1) % 8 != 0) return "heads of out do not begin at multiples of 8 elements";
  return refuse_linear_sm90(side_by_side(p), context);
}

const char* slower_shared(const HeadLinearParams& p, const CudaContext& context) {
  const LinearParams all = side_by_side(p);
  return slower_linear_sm90(whole_tile_sm90(all, context), all, context);
}

void run_shared(const HeadLinearParams& p, CudaContext& context) {
  linear_apart_sm90(side_by_side(p), static_cast<int>(p.out.size(2)), p.out.stride(1), context);
}

void run_heads(const HeadLinearParams& p, CudaContext& context) {
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

const char* refuse_codes(const HeadLinearParams& p, const CudaContext&) {
  return is_coded(p.weight) ? "the weights are of codes" : nullptr;
}
const char* refuse_dense(const HeadLinearParams& p, const CudaContext&) {
  return is_coded(p.weight) ? nullptr : "the weights are not of codes";
}
void run_unpacked(const HeadLinearParams& p, CudaContext& context);

constexpr Candidate<HeadLinearParams> kCandidates[] = {
    {.name = "shared", .hopper = true, .refuse = refuse_shared, .slower = slower_shared, .run = run_shared},
    {.name = "heads", .refuse = refuse_codes, .run = run_heads},
    {.name = "unpacked", .refuse = refuse_dense, .run = run_unpacked},
};
const KnownKernels kKnown({OpId::head_linear}, kCandidates);

/// Heads [first, last) of [T, H, width].
TensorView heads_of(TensorView t, int64_t first, int64_t last) {
  t.data = t.as<std::byte>() + bytes_of(t.dtype, static_cast<size_t>(first * t.stride(1)));
  t.sizes[1] = last - first;
  return t;
}

/// The weights as numbers, as many heads at a time as the workspace holds, and the products that read those.
void run_unpacked(const HeadLinearParams& p, CudaContext& context) {
  UnpackedWeight weight(p.weight, p.x.dtype, context);
  const int64_t heads = p.weight.data.size(0), each = weight.most_matrices();
  for (int64_t first = 0; first < heads; first += each) {
    const int64_t last = std::min(first + each, heads);
    HeadLinearParams part = p;
    part.weight = weight.copy(first, last, 0, p.weight.data.size(1));
    part.x = heads_of(p.x, first, last);
    part.out = heads_of(p.out, first, last);
    choose_freely(kCandidates, part, weight.rest()).run(part, weight.rest());
  }
  weight.count_launches();
}

}  // namespace

void head_linear(const HeadLinearParams& p, CudaContext& context) {
  choose(OpId::head_linear, kCandidates, p, context).run(p, context);
}

}  // namespace warploop::cuda
