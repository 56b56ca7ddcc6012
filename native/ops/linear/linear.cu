// What:      out = x W^T + bias + residual, or silu(gate) * up of the halves of x W^T + bias, on any GPU from
//            sm_80 on, and the choice between this and linear.sm90.cu
// Steps:     see the kernels: cuda/gemm/streaming.cuh (few rows), tiles.cuh (more), fma.cuh (f32 x)
// Mapping:   the shape of the tiles comes from a table by T, N and K (linear.tiles.h); where there are fewer
//            tiles than the GPU holds blocks, blocks share the K of a tile
// Cost:      T <= 16: N K weight bytes, memory-bound, aim 90 % of HBM.  prompt: 2 T N K flop, compute-bound
// Numerics:  f32 sums, rounded once, after bias and residual; gate and up are rounded to the dtype of x, as
//            in a product that is stored, and once more when multiplied; a row's last bits depend on T
//            through tiles and splits, never on the run
#include "ops/linear/linear.h"

#include "cuda/choose.h"
#include "cuda/gemm/coded_schedule.h"
#include "cuda/gemm/heads.h"
#include "cuda/gemm/schedule.h"
#include "ops/linear/linear.coded.h"
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

LinearShape chosen_shape(int64_t K, int64_t T, int64_t N) {
  return linear_tiles::kChosen[bucket_of(kInputBounds, K)][bucket_of(kRowBounds, T)]
                              [bucket_of(kOutputBounds, N)];
}

/// The table's choice; the next wider tile where that has no room for a panel of gate and one of up.
/// From sizes alone: each tile of the table asks before it is passed over.
LinearShape choose_shape(const LinearParams& p) {
  const LinearShape chosen = chosen_shape(p.x.size(1), p.out.size(0), p.weight.data.size(1));
  return p.weight.swiglu && chosen == LinearShape::s8x16 ? LinearShape::s8x32 : chosen;
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
  e.gate_dtype = p.x.dtype;
  e.bias = p.bias.as<float>();
  if (p.bias) {
    const bool halves_aligned = !e.swiglu || e.columns % 4 == 0;
    e.quads = e.quads && halves_aligned && reinterpret_cast<uintptr_t>(p.bias.data) % 16 == 0;
  }
  e.residual = p.residual.data;
  if (p.residual) {
    e.residual_stride = p.residual.stride(0);
    e.residual_dtype = p.residual.dtype;
    e.quads = e.quads && vectors_of(p.residual, 4);
  }
  return product;
}

namespace {

template <HopperTile tile>
const char* slower_hopper(const LinearParams& p, const CudaContext& context) {
  return slower_linear_sm90(tile, p, context);
}
template <HopperTile tile>
void run_hopper(const LinearParams& p, CudaContext& context) {
  linear_sm90(tile, p, context);
}

const char* refuse_f32(const LinearParams& p, const CudaContext&) {
  if (is_coded(p.weight)) return "the weight is of codes";
  return p.x.dtype == DType::f32 ? "x is f32 and must not be rounded" : nullptr;
}

/// Of the kernel that reads f32.
const char* refuse_narrow(const LinearParams& p, const CudaContext&) {
  if (is_coded(p.weight)) return "the weight is of codes";
  return p.x.dtype == DType::f32 ? nullptr : "x is not f32";
}

const char* refuse_tile(const LinearParams& p, const CudaContext& context) {
  if (const char* reason = refuse_f32(p, context)) return reason;
  return pieces_of_16_bytes(p.x) ? nullptr : "rows of x are not aligned to 16 bytes";
}
template <LinearShape shape>
const char* refuse_shape(const LinearParams& p, const CudaContext& context) {
  if (shape == LinearShape::s8x16 && p.weight.swiglu)
    return "16 columns do not hold a panel of gate and one of up";
  return refuse_tile(p, context);
}
template <LinearShape shape>
const char* slower_tile(const LinearParams& p, const CudaContext&) {
  return choose_shape(p) == shape ? nullptr : "linear.tiles.h has another tile for this";
}
template <LinearShape shape>
void run_tile(const LinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  p.x.dtype == DType::bf16 ? run_shape<bf16>(shape, product, context)
                           : run_shape<f16>(shape, product, context);
}

void launch_unaligned(const Product& product, DType x, const CudaContext& context) {
  const auto run = [&]<class T>(T) { launch_tiles<T, TileUnaligned, false, false>(product, context); };
  x == DType::bf16 ? run(bf16{}) : run(f16{});
}

void run_unaligned(const LinearParams& p, CudaContext& context) {
  launch_unaligned(product_of(p, context), p.x.dtype, context);
}

void run_f32(const LinearParams& p, CudaContext& context) {
  launch_f32<false>(product_of(p, context), p.weight.data.dtype, context);
}

template <HopperTile tile>
constexpr Candidate<LinearParams> hopper(const char* name) {
  return {.name = name,
          .hopper = true,
          .refuse = refuse_linear_sm90,
          .slower = slower_hopper<tile>,
          .run = run_hopper<tile>};
}
template <LinearShape shape>
constexpr Candidate<LinearParams> portable(const char* name) {
  return {.name = name, .refuse = refuse_shape<shape>, .slower = slower_tile<shape>, .run = run_tile<shape>};
}

// Up to so many rows codes are read again for each 16: more cost more than to make numbers of them once.
constexpr int64_t kMostCodedRows = 64;

template <CodedTile tile>
const char* slower_coded(const LinearParams& p, const CudaContext&) {
  if (p.x.size(0) > kMostCodedRows) return "many rows: the codes become numbers first";
  return (p.x.size(0) <= 8) == (tile == CodedTile::s8x64) ? nullptr : "another tile suits so many rows";
}
template <CodedTile tile>
void run_coded(const LinearParams& p, CudaContext& context) {
  linear_coded(tile, p, context);
}

template <CodedTile tile>
constexpr Candidate<LinearParams> coded(const char* name) {
  return {.name = name, .refuse = refuse_linear_coded, .slower = slower_coded<tile>, .run = run_coded<tile>};
}

const char* refuse_dense(const LinearParams& p, const CudaContext&) {
  return is_coded(p.weight) ? nullptr : "the weight is not of codes";
}
void run_unpacked(const LinearParams& p, CudaContext& context);

/// Rows x columns of a tile; h: Hopper; k: blocks that share the K of a tile; c: reads codes.
constexpr Candidate<LinearParams> kCandidates[] = {
    hopper<HopperTile::t128x256>("h128x256"),
    hopper<HopperTile::t128x128>("h128x128"),
    hopper<HopperTile::t64x128>("h64x128"),
    hopper<HopperTile::t128x128k2>("h128x128k2"),
    hopper<HopperTile::t128x128k4>("h128x128k4"),
    hopper<HopperTile::t128x128k8>("h128x128k8"),
    hopper<HopperTile::t64x128k2>("h64x128k2"),
    hopper<HopperTile::t64x128k4>("h64x128k4"),
    hopper<HopperTile::t64x128k8>("h64x128k8"),
    portable<LinearShape::s8x16>("8x16"),
    portable<LinearShape::s8x32>("8x32"),
    portable<LinearShape::s8x64>("8x64"),
    portable<LinearShape::s16x64>("16x64"),
    portable<LinearShape::t32x128>("32x128"),
    portable<LinearShape::t64x64>("64x64"),
    portable<LinearShape::t64x128>("64x128"),
    portable<LinearShape::t128x128>("128x128"),
    {.name = "unaligned", .refuse = refuse_f32, .run = run_unaligned},
    {.name = "f32", .refuse = refuse_narrow, .run = run_f32},
    coded<CodedTile::s8x64>("c8x64"),
    coded<CodedTile::s16x64>("c16x64"),
    {.name = "unpacked", .refuse = refuse_dense, .run = run_unpacked},
};
const KnownKernels kKnown({OpId::linear}, kCandidates);

/// The weight as numbers, as many rows at a time as the workspace holds, and the products that read those.
void run_unpacked(const LinearParams& p, CudaContext& context) {
  UnpackedWeight weight(p.weight, p.x.dtype, context);
  const int64_t rows = p.weight.data.size(1), each = weight.most_rows(), halves = p.weight.swiglu ? 2 : 1;
  if (p.bias && halves == 2 && each < rows)
    fail_execution("gate and up of a weight of codes with a bias do not fit into the workspace as numbers");
  for (int64_t first = 0; first < rows; first += each) {
    LinearParams part = p;
    part.weight = weight.copy(0, 1, first, std::min(first + each, rows));
    const int64_t column = first / halves, columns = part.weight.outputs / halves;
    part.out = columns_of(p.out, column, columns);
    if (p.residual) part.residual = columns_of(p.residual, column, columns);
    if (p.bias) part.bias = columns_of(p.bias, column, part.weight.outputs);
    choose_freely(kCandidates, part, weight.rest()).run(part, weight.rest());
  }
  weight.count_launches();
}

}  // namespace

void multiply_heads(const Product& p, DType x, DType weight, bool aligned, const CudaContext& context) {
  if (x == DType::f32) return launch_f32<false>(p, weight, context);
  if (!aligned) return launch_unaligned(p, x, context);
  const LinearShape shape = chosen_shape(p.K, p.rows, p.weight_rows * p.heads.count);
  x == DType::bf16 ? run_shape<bf16>(shape, p, context) : run_shape<f16>(shape, p, context);
}

void linear(const LinearParams& p, CudaContext& context) {
  choose(OpId::linear, kCandidates, p, context).run(p, context);
}

}  // namespace warploop::cuda
