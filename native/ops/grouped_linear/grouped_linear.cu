// What:      out[r] = f(x[order[r] / top_k] W_e^T) for the expert e that row r belongs to;
//            f = SwiGLU or nothing
// Steps:     1. check the groups
//            2. the kernels of linear (cuda/gemm), which find their expert in offsets and gather the rows
//               of x as they copy them
//            3. SwiGLU, conversion in the epilogue: panels of gate and up lie side by side
// Mapping:   offsets are known to the device only, so the grid is the most row tiles that there can be, and a
//            block whose tile does not exist ends at once. Few rows per expert stream the weights
//            (streaming.cuh): an expert is read once per 8 or 16 of its rows, one without rows never
// Cost:      decode: the weights of the experts that have rows, memory-bound.  prompt: 2 M N K flop
// Numerics:  f32 sums; a row's result does not depend on the other rows, but its last bits on how many there
//            are
// Source:    gather in the load and SwiGLU in the epilogue as in SonicMoE, arXiv 2512.14080
#include "ops/grouped_linear/grouped_linear.h"

#include "cuda/choose.h"
#include "cuda/gemm/schedule.h"
#include "ops/grouped_linear/grouped_linear.sm90.h"

namespace warploop::cuda {

Product product_of(const GroupedLinearParams& p, const CudaContext& context) {
  const int groups = static_cast<int>(p.offsets.size(0)) - 1;
  const auto site = [&](const char* text) { return context.fault_site(OpId::grouped_linear, text); };
  Product product = product_of(p.x, p.weight, p.out, context);
  product.groups = {
      .offsets = p.offsets.as<int32_t>(),
      .order = p.order.as<int32_t>(),
      .count = groups,
      .top_k = p.top_k,
      .decreasing = site("offsets[{index}] = {value} exceeds the next one"),
      .outside = site("offsets run from {index} to {value} but there are {limit} rows"),
      .bad_order = site("order[{index}] = {value} is outside the {limit} rows of x times topK")};
  product.epilogue.swiglu = p.weight.swiglu;
  return product;
}

namespace {

// Rows per expert, on average over those that can have any, up to which a schedule is used. Experts are
// chosen unevenly: the bounds leave room below the rows of the tile.
constexpr int64_t kStream8 = 4, kStream16 = 12, kTile32 = 24, kTile64 = 64;

template <class T>
void run_shape(const Product& p, const CudaContext& context) {
  const int64_t experts = std::max<int64_t>(std::min<int64_t>(p.rows, p.groups.count), 1);
  if (p.rows <= kStream8 * experts) return launch_streaming<T, Stream8x64, true>(p, context);
  if (p.rows <= kStream16 * experts) return launch_streaming<T, Stream16x64, true>(p, context);
  if (p.rows <= kTile32 * experts) return launch_tiles<T, Tile32x128, true>(p, context);
  if (p.rows <= kTile64 * experts) return launch_tiles<T, Tile64x128, true>(p, context);
  launch_tiles<T, Tile128x128, true>(p, context);
}

const char* refuse_tensor_cores(const GroupedLinearParams& p, const CudaContext&) {
  return p.x.dtype == DType::f32 ? "x is f32 and must not be rounded" : nullptr;
}
void run_tensor_cores(const GroupedLinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  const bool aligned = pieces_of_16_bytes(p.x);
  const auto run = [&]<class T>(T) {
    aligned ? run_shape<T>(product, context) : launch_tiles<T, TileUnaligned, true, false>(product, context);
  };
  p.x.dtype == DType::bf16 ? run(bf16{}) : run(f16{});
}

const char* refuse_nothing(const GroupedLinearParams&, const CudaContext&) { return nullptr; }
void run_f32(const GroupedLinearParams& p, CudaContext& context) {
  launch_f32<true>(product_of(p, context), p.weight.data.dtype, context);
}

constexpr Candidate<GroupedLinearParams> kCandidates[] = {
    {"hopper", refuse_grouped_linear_sm90, grouped_linear_sm90},
    {"tensor cores", refuse_tensor_cores, run_tensor_cores},
    {"f32", refuse_nothing, run_f32},
};

}  // namespace

void grouped_linear(const GroupedLinearParams& p, CudaContext& context) {
  choose(kCandidates, p, context).run(p, context);
}

}  // namespace warploop::cuda
