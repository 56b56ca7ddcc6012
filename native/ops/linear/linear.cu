// What:      out = x W^T + bias + residual on any GPU from sm_80 on, and the choice between this and
//            linear.sm90.cu
// Steps:     see the kernels: cuda/gemm/streaming.cuh (few rows), tiles.cuh (more), fma.cuh (f32 x)
// Mapping:   the shape of the tiles comes from a table by T, N and K (linear.tiles.h); where there are fewer
//            tiles than the GPU holds blocks, blocks share the K of a tile
// Cost:      T <= 16: N K weight bytes, memory-bound, aim 90 % of HBM.  prompt: 2 T N K flop, compute-bound
// Numerics:  f32 sums, rounded once, after bias and residual; a row's last bits depend on T through tiles and
//            splits, never on the run
#include "ops/linear/linear.h"

#include <cstring>

#include "cuda/choose.h"
#include "cuda/gemm/schedule.h"
#include "ops/linear/linear.sm90.h"
#include "ops/linear/linear.tiles.h"

namespace warploop::cuda {

namespace {

template <int n>
int bucket_of(const int64_t (&bounds)[n], int64_t value) {
  int i = 0;
  while (i < n && value > bounds[i]) i++;
  return i;
}

bool forces_portable_tile(const CudaContext& context) {
  return context.linear_tile && *context.linear_tile != 'h';  // h: a tile of linear.sm90.cu
}

LinearShape choose_shape(const Product& p, const CudaContext& context) {
  if (!forces_portable_tile(context)) {
    return linear_tiles::kChosen[bucket_of(kInputBounds, p.K)][bucket_of(kRowBounds, p.rows)]
                                [bucket_of(kOutputBounds, p.weight_rows)];
  }
  for (int i = 0; i < static_cast<int>(std::size(kLinearShapeNames)); i++) {
    if (!std::strcmp(kLinearShapeNames[i], context.linear_tile)) return static_cast<LinearShape>(i);
  }
  fail_execution("WARPLOOP_LINEAR_TILE: there is no tile ", context.linear_tile);
}

template <class T>
void run_shape(LinearShape shape, const Product& p, const CudaContext& context) {
  switch (shape) {
    case LinearShape::s8x16:
      return launch_streaming<T, Stream8x16, false>(p, context);
    case LinearShape::s8x32:
      return launch_streaming<T, Stream8x32, false>(p, context);
    case LinearShape::s8x64:
      return launch_streaming<T, Stream8x64, false>(p, context);
    case LinearShape::s16x64:
      return launch_streaming<T, Stream16x64, false>(p, context);
    case LinearShape::t32x128:
      return launch_tiles<T, Tile32x128, false>(p, context);
    case LinearShape::t64x64:
      return launch_tiles<T, Tile64x64, false>(p, context);
    case LinearShape::t64x128:
      return launch_tiles<T, Tile64x128, false>(p, context);
    case LinearShape::t128x128:
      return launch_tiles<T, Tile128x128, false>(p, context);
  }
}

}  // namespace

Product product_of(const LinearParams& p, const CudaContext& context) {
  Product product = product_of(p.x, p.weight, p.out, context);
  Epilogue& e = product.epilogue;
  e.bias = p.bias.as<float>();
  if (p.bias) e.quads = e.quads && reinterpret_cast<uintptr_t>(p.bias.data) % 16 == 0;
  e.residual = p.residual.data;
  if (p.residual) {
    e.residual_stride = p.residual.stride(0);
    e.residual_dtype = p.residual.dtype;
    e.quads = e.quads && vectors_of(p.residual, 4);
  }
  return product;
}

namespace {

const char* refuse_hopper(const LinearParams& p, const CudaContext& context) {
  return forces_portable_tile(context) ? "a portable tile is forced" : refuse_linear_sm90(p, context);
}

const char* refuse_tensor_cores(const LinearParams& p, const CudaContext&) {
  return p.x.dtype == DType::f32 ? "x is f32 and must not be rounded" : nullptr;
}
void run_tensor_cores(const LinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  const bool aligned = pieces_of_16_bytes(p.x);
  const LinearShape shape = choose_shape(product, context);
  const auto run = [&]<class T>(T) {
    aligned ? run_shape<T>(shape, product, context)
            : launch_tiles<T, TileUnaligned, false, false>(product, context);
  };
  p.x.dtype == DType::bf16 ? run(bf16{}) : run(f16{});
}

const char* refuse_nothing(const LinearParams&, const CudaContext&) { return nullptr; }
void run_f32(const LinearParams& p, CudaContext& context) {
  launch_f32<false>(product_of(p, context), p.weight.data.dtype, context);
}

constexpr Candidate<LinearParams> kCandidates[] = {
    {"hopper", refuse_hopper, linear_sm90},
    {"tensor cores", refuse_tensor_cores, run_tensor_cores},
    {"f32", refuse_nothing, run_f32},
};

}  // namespace

void linear(const LinearParams& p, CudaContext& context) { choose(kCandidates, p, context).run(p, context); }

}  // namespace warploop::cuda
