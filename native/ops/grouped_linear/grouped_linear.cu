// What:      out[r] = f(x[order[r] / top_k] W_e^T) for the expert e that row r belongs to;
//            f = SwiGLU or nothing, of products and biases
// Steps:     1. check the groups
//            2. the kernels of linear (cuda/gemm), which find their expert in offsets and gather the rows
//               of x as they copy them
//            3. bias, SwiGLU, conversion in the epilogue: panels of gate and up lie side by side
// Mapping:   offsets are known to the device only, so the grid is the most row tiles that there can be, and a
//            block whose tile does not exist ends at once. Few rows per expert stream the weights
//            (streaming.cuh): an expert is read once per 8 or 16 of its rows, one without rows never
// Cost:      decode: the weights of the experts that have rows, memory-bound.  prompt: 2 M N K flop
// Numerics:  f32 sums; a row's result does not depend on the other rows, but its last bits on how many there
//            are
// Source:    gather in the load and SwiGLU in the epilogue as in SonicMoE, arXiv 2512.14080
#include "ops/grouped_linear/grouped_linear.h"

#include "cuda/choose.h"
#include "cuda/gemm/coded_schedule.h"
#include "ops/grouped_linear/grouped_linear.coded.h"
#include "ops/grouped_linear/grouped_linear.sm90.h"

namespace warploop::cuda {

Product product_of(const GroupedLinearParams& p, const CudaContext& context) {
  const int groups = static_cast<int>(p.offsets.size(0)) - 1;
  const auto site = [&](const char* text) { return context.fault_site(OpId::grouped_linear, text); };
  Product product = product_of(p.x, p.weight, p.out, context);
  Epilogue& e = product.epilogue;
  e.function = swiglu_of(p);
  e.bias = p.bias.as<float>();
  if (p.bias) {
    e.bias_stride = p.bias.stride(0);
    const bool halves_aligned = !e.swiglu || e.columns % 4 == 0;
    e.quads = e.quads && halves_aligned && vectors_of(p.bias, 4);
  }
  product.groups = {
      .offsets = p.offsets.as<int32_t>(),
      .order = p.order.as<int32_t>(),
      .count = groups,
      .top_k = p.top_k,
      .decreasing = site("offsets[{index}] = {value} exceeds the next one"),
      .outside = site("offsets run from {index} to {value} but there are {limit} rows"),
      .bad_order = site("order[{index}] = {value} is outside the {limit} rows of x times topK")};
  return product;
}

namespace {

// Rows per expert, on average over those that can have any, up to which a schedule is used. Experts are
// chosen unevenly: the bounds leave room below the rows of the tile.
constexpr int64_t kStream8 = 4, kStream16 = 12, kTile32 = 24, kTile64 = 64;

/// Rows x columns of a tile; s: streams the weights.
enum class GroupedShape { s8x64, s16x64, t32x128, t64x128, t128x128 };

/// From sizes alone: each tile of the table asks before it is passed over.
GroupedShape choose_shape(const GroupedLinearParams& p) {
  const int64_t rows = p.out.size(0);
  const int64_t experts = std::max<int64_t>(std::min<int64_t>(rows, p.weight.data.size(0)), 1);
  if (rows <= kStream8 * experts) return GroupedShape::s8x64;
  if (rows <= kStream16 * experts) return GroupedShape::s16x64;
  if (rows <= kTile32 * experts) return GroupedShape::t32x128;
  if (rows <= kTile64 * experts) return GroupedShape::t64x128;
  return GroupedShape::t128x128;
}

template <class T>
void run_shape(GroupedShape shape, const Product& p, const CudaContext& context) {
  switch (shape) {
    case GroupedShape::s8x64:
      return launch_streaming<T, Stream8x64, true>(p, context);
    case GroupedShape::s16x64:
      return launch_streaming<T, Stream16x64, true>(p, context);
    case GroupedShape::t32x128:
      return launch_tiles<T, Tile32x128, true>(p, context);
    case GroupedShape::t64x128:
      return launch_tiles<T, Tile64x128, true>(p, context);
    case GroupedShape::t128x128:
      return launch_tiles<T, Tile128x128, true>(p, context);
  }
}

template <GroupedHopperTile tile>
const char* slower_hopper(const GroupedLinearParams& p, const CudaContext& context) {
  return slower_grouped_linear_sm90(tile, p, context);
}
template <GroupedHopperTile tile>
void run_hopper(const GroupedLinearParams& p, CudaContext& context) {
  grouped_linear_sm90(tile, p, context);
}

const char* refuse_f32(const GroupedLinearParams& p, const CudaContext&) {
  if (is_coded(p.weight)) return "the weights are of codes";
  return p.x.dtype == DType::f32 ? "x is f32 and must not be rounded" : nullptr;
}

/// Of the kernel that reads f32.
const char* refuse_narrow(const GroupedLinearParams& p, const CudaContext&) {
  if (is_coded(p.weight)) return "the weights are of codes";
  return p.x.dtype == DType::f32 ? nullptr : "x is not f32";
}

const char* refuse_tile(const GroupedLinearParams& p, const CudaContext& context) {
  if (const char* reason = refuse_f32(p, context)) return reason;
  return pieces_of_16_bytes(p.x) ? nullptr : "rows of x are not aligned to 16 bytes";
}
template <GroupedShape shape>
const char* slower_tile(const GroupedLinearParams& p, const CudaContext&) {
  return choose_shape(p) == shape ? nullptr : "another tile suits so many rows per expert";
}
template <GroupedShape shape>
void run_tile(const GroupedLinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  p.x.dtype == DType::bf16 ? run_shape<bf16>(shape, product, context)
                           : run_shape<f16>(shape, product, context);
}

void run_unaligned(const GroupedLinearParams& p, CudaContext& context) {
  const Product product = product_of(p, context);
  const auto run = [&]<class T>(T) { launch_tiles<T, TileUnaligned, true, false>(product, context); };
  p.x.dtype == DType::bf16 ? run(bf16{}) : run(f16{});
}

void run_f32(const GroupedLinearParams& p, CudaContext& context) {
  launch_f32<true>(product_of(p, context), p.weight.data.dtype, context);
}

template <GroupedHopperTile tile>
constexpr Candidate<GroupedLinearParams> hopper(const char* name) {
  return {.name = name,
          .hopper = true,
          .refuse = refuse_grouped_linear_sm90,
          .slower = slower_hopper<tile>,
          .run = run_hopper<tile>};
}
template <GroupedShape shape>
constexpr Candidate<GroupedLinearParams> portable(const char* name) {
  return {.name = name, .refuse = refuse_tile, .slower = slower_tile<shape>, .run = run_tile<shape>};
}

/// Rows per expert up to which a kernel reads codes: more cost more than to make numbers of them once.
constexpr int64_t kCoded8 = kStream8, kMostCoded = 32;

template <GroupedCodedTile tile>
const char* slower_coded(const GroupedLinearParams& p, const CudaContext&) {
  const int64_t rows = p.out.size(0);
  const int64_t experts = std::max<int64_t>(std::min<int64_t>(rows, p.weight.data.size(0)), 1);
  if (rows > kMostCoded * experts) return "many rows per expert: the codes become numbers first";
  return (rows <= kCoded8 * experts) == (tile == GroupedCodedTile::s8x64)
             ? nullptr
             : "another tile suits so many rows per expert";
}
template <GroupedCodedTile tile>
void run_coded(const GroupedLinearParams& p, CudaContext& context) {
  grouped_linear_coded(tile, p, context);
}
template <GroupedCodedTile tile>
constexpr Candidate<GroupedLinearParams> coded(const char* name) {
  return {.name = name,
          .refuse = refuse_grouped_linear_coded,
          .slower = slower_coded<tile>,
          .run = run_coded<tile>};
}

const char* refuse_dense(const GroupedLinearParams& p, const CudaContext&) {
  return is_coded(p.weight) ? nullptr : "the weights are not of codes";
}
void run_unpacked(const GroupedLinearParams& p, CudaContext& context);

constexpr Candidate<GroupedLinearParams> kCandidates[] = {
    hopper<GroupedHopperTile::stream64x128>("h64x128"),
    hopper<GroupedHopperTile::t128x128>("h128x128"),
    hopper<GroupedHopperTile::pair128x256>("h128x256x2"),
    hopper<GroupedHopperTile::t128x256>("h128x256"),
    hopper<GroupedHopperTile::pair128x256lag2>("h128x256x2lag2"),
    hopper<GroupedHopperTile::t128x256lag2>("h128x256lag2"),
    portable<GroupedShape::s8x64>("8x64"),
    portable<GroupedShape::s16x64>("16x64"),
    portable<GroupedShape::t32x128>("32x128"),
    portable<GroupedShape::t64x128>("64x128"),
    portable<GroupedShape::t128x128>("128x128"),
    {.name = "unaligned", .refuse = refuse_f32, .run = run_unaligned},
    {.name = "f32", .refuse = refuse_narrow, .run = run_f32},
    coded<GroupedCodedTile::s8x64>("c8x64"),
    coded<GroupedCodedTile::s16x64>("c16x64"),
    {.name = "unpacked", .refuse = refuse_dense, .run = run_unpacked},
};
const KnownKernels kKnown({OpId::grouped_linear}, kCandidates);

/// The weights as numbers, as many experts at a time as the workspace holds, and the products that read
/// those.
void run_unpacked(const GroupedLinearParams& p, CudaContext& context) {
  UnpackedWeight weight(p.weight, p.x.dtype, context);
  const int64_t experts = p.weight.data.size(0), each = weight.most_matrices();
  for (int64_t first = 0; first < experts; first += each) {
    const int64_t last = std::min(first + each, experts);
    GroupedLinearParams part = p;
    part.weight = weight.copy(first, last, 0, p.weight.data.size(1));
    part.offsets = columns_of(p.offsets, first, last - first + 1);
    if (p.bias) {
      part.bias.data = p.bias.as<float>() + first * p.bias.stride(0);
      part.bias.sizes[0] = last - first;
    }
    choose_freely(kCandidates, part, weight.rest()).run(part, weight.rest());
  }
  weight.count_launches();
}

}  // namespace

void grouped_linear(const GroupedLinearParams& p, CudaContext& context) {
  choose(OpId::grouped_linear, kCandidates, p, context).run(p, context);
}

}  // namespace warploop::cuda
