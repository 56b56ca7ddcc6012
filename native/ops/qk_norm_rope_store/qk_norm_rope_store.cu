// What:      q = rope(norm(q)), in place;  kPages[slot] = rope(norm(k)), vPages[slot] = v, slot = slots[t]:
//            rms_norm with a weight (without one: nothing), rope of split halves and kv_store
// Steps:     1. verify position and slot   2. load the head   3. sum of squares, scale
//            4. leave the head in shared memory for the lanes that have the other halves of its pairs
//            5. rotate   6. store
// Mapping:   a warp per head of q, k and v of a token, eight to a block; a lane has up to 16 elements in
//            registers. Values with several scales for a head have a warp per scale
// Resources: 16 KiB of shared memory: a head of each warp
// Cost:      bytes of q, k and v read, q and the pages written; bound by memory, in decoding by the launch,
//            which it saves three of
// Numerics:  f32, rounded where the separate ops store: to the dtype of q behind the norm and behind the
//            rotation, then to that of the pages (codes: core/kv_codes.h). A head's bits depend on itself
//            alone
// Limits:    Dh is at most 512; all offsets into the pages are 64-bit
// Source:    as rms_norm, rope and kv_store
#include "ops/qk_norm_rope_store/qk_norm_rope_store.h"

#include <algorithm>

#include "cuda/device/codes.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/device/vectors.cuh"
#include "cuda/device/warp.cuh"

namespace warploop::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kMostWidth = static_cast<int>(QkNormRopeStoreParams::kMostWidth);

struct Heads {
  Rows x;       // [T, H, D]
  Rows weight;  // [D]; none: no norm
  Rows pages;   // [P, Ps, H, D]; none: the result goes to x
  Rows scales;  // [P, Ps, H]; of codes only
  int32_t count;
  int32_t vectors;       // of D
  int32_t last_vectors;  // of the last head: groups of a head of values may not fill it
};

struct Preparation {
  Heads q, k, v;
  Rows table;  // [Lmax, R]
  const int32_t *positions, *slots;
  int64_t T, Lmax, num_slots;
  int32_t half;  // vectors of R / 2
  int32_t page_size;
  float eps;
  FaultSite bad_position, bad_slot;
};

struct PreparationPlan {
  float heads[kWarps][kMostWidth];
};

/// Offset of head 0's first element in a slot.
WARPLOOP_DEVICE int64_t in_pages(const Rows& pages, int32_t slot, int32_t page_size) {
  return slot / page_size * pages.strides[0] + slot % page_size * pages.strides[1];
}

/// Where the scale of a head lies.
WARPLOOP_DEVICE float* scale_in(const Rows& scales, int32_t slot, int32_t page_size, int32_t head) {
  if (!scales) return nullptr;
  const int64_t row = slot / page_size * scales.strides[1] + slot % page_size * scales.strides[2];
  return reinterpret_cast<float*>(scales.data) + row + head;
}

/// Step 6. of a head that is kept as codes.
template <int kVector, int kCount>
WARPLOOP_DEVICE void store_as_codes(const Rows& to, int64_t at, int vectors,
                                    const float (&h)[kCount][kVector], float* scale) {
  const int lane = lane_index();
  float most = 0;
#pragma unroll
  for (int i = 0; i < kCount; i++) most = larger_magnitude(most, h[i]);
  const HeadScale codes = find_scale(to.dtype, most);
  if (lane == 0) *scale = codes.scale;
#pragma unroll
  for (int i = 0; i < kCount; i++) {
    const int vector = lane + i * kWarpSize;
    if (vector < vectors) store_codes(to, at + vector * kVector, codes, h[i]);
  }
}

/// Steps 2. to 6. of a head of q or k. `scale`: where that of its codes goes, null if it gets none.
template <int kVector>
WARPLOOP_DEVICE void prepare_head(const Preparation& p, const Heads& heads, int64_t from, const Rows& to,
                                  int64_t at, int32_t position, float* scale, float* shared) {
  constexpr int kCount = kMostWidth / kVector / kWarpSize;
  const int lane = lane_index();
  float h[kCount][kVector] = {};
  float squares = 0;
#pragma unroll
  for (int i = 0; i < kCount; i++) {  // 2.
    const int vector = lane + i * kWarpSize;
    if (vector < heads.vectors) load_floats(heads.x, from + vector * kVector, h[i]);
  }
  if (heads.weight) {
#pragma unroll
    for (int i = 0; i < kCount; i++) {  // 3.
#pragma unroll
      for (int j = 0; j < kVector; j++) squares += h[i][j] * h[i][j];
    }
    const float mean = sum_lanes(squares) / static_cast<float>(heads.vectors * kVector);
    const float scale = 1.0f / sqrtf(mean + p.eps);
#pragma unroll
    for (int i = 0; i < kCount; i++) {
      const int vector = lane + i * kWarpSize;
      if (vector >= heads.vectors) break;
      float weight[kVector];
      load_f32(heads.weight, vector * kVector, weight);
#pragma unroll
      for (int j = 0; j < kVector; j++) h[i][j] = rounded_to(heads.x.dtype, h[i][j] * scale * weight[j]);
    }
  }
#pragma unroll
  for (int i = 0; i < kCount; i++) {  // 4.
    const int vector = lane + i * kWarpSize;
    if (vector >= 2 * p.half) break;
#pragma unroll
    for (int j = 0; j < kVector; j++) shared[vector * kVector + j] = h[i][j];
  }
  sync_warp();
#pragma unroll
  for (int i = 0; i < kCount; i++) {
    const int vector = lane + i * kWarpSize;
    if (vector >= heads.vectors) break;
    if (vector < 2 * p.half) {  // 5.
      const bool is_second = vector >= p.half;
      const int pair = is_second ? vector - p.half : vector, other = is_second ? pair : pair + p.half;
      const int64_t row = position * p.table.strides[2];
      float cosines[kVector], sines[kVector];
      load_f32(p.table, row + pair * kVector, cosines);
      load_f32(p.table, row + (p.half + pair) * kVector, sines);
#pragma unroll
      for (int j = 0; j < kVector; j++) {
        const float sine = is_second ? sines[j] : -sines[j];
        const float turned = h[i][j] * cosines[j] + shared[other * kVector + j] * sine;
        h[i][j] = rounded_to(heads.x.dtype, turned);
      }
    }
    if (!scale) store_floats(to, at + vector * kVector, h[i]);  // 6.
  }
  if (scale) store_as_codes<kVector>(to, at, heads.vectors, h, scale);
}

template <int kVector>
__global__ void __launch_bounds__(kWarps* kWarpSize)
    qk_norm_rope_store_kernel(const __grid_constant__ Preparation p) {
  wait_for_predecessors();
  auto& plan = shared_plan<PreparationPlan>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + warp_index();
  const int32_t heads_each = p.q.count + p.k.count + p.v.count;
  const int64_t token = row / heads_each;
  if (token >= p.T) return;
  int32_t head = static_cast<int32_t>(row - token * heads_each);
  const int32_t position = p.positions[token], slot = p.slots[token];  // 1.
  if (position < 0 || position >= p.Lmax) return raise_fault(p.bad_position, position, p.Lmax, token);
  if (slot < -1 || slot >= p.num_slots) return raise_fault(p.bad_slot, slot, p.num_slots, token);
  float* shared = plan.heads[warp_index()];
  const auto from = [&](const Heads& heads) {
    return token * heads.x.strides[1] + head * heads.x.strides[2];
  };
  const auto to = [&](const Heads& heads) {
    return in_pages(heads.pages, slot, p.page_size) + head * heads.pages.strides[2];
  };
  const auto scale = [&](const Heads& heads) { return scale_in(heads.scales, slot, p.page_size, head); };
  if (head < p.q.count)
    return prepare_head<kVector>(p, p.q, from(p.q), p.q.x, from(p.q), position, nullptr, shared);
  if (slot == -1) return;
  head -= p.q.count;
  if (head < p.k.count)
    return prepare_head<kVector>(p, p.k, from(p.k), p.k.pages, to(p.k), position, scale(p.k), shared);
  head -= p.k.count;
  if (float* of_value = scale(p.v)) {
    const int32_t vectors = head == p.v.count - 1 ? p.v.last_vectors : p.v.vectors;
    return store_head_as_codes<kVector>(p.v.x, from(p.v), vectors, p.v.pages, to(p.v), of_value);
  }
  for (int vector = lane_index(); vector < p.v.vectors; vector += kWarpSize) {
    const uint4 values = load_vector<kVector>(p.v.x, from(p.v) + vector * kVector);
    const uint4 stored = convert<kVector>(values, p.v.x.dtype, p.v.pages.dtype);
    store_vector<kVector>(p.v.pages, to(p.v) + vector * kVector, stored);
  }
}

}  // namespace

void qk_norm_rope_store(const QkNormRopeStoreParams& p, CudaContext& context) {
  const int64_t T = p.q.size(0), Dh = p.q.size(2), Dv = p.v.size(2), half = p.table.size(1) / 2;
  const auto floats = [](const TensorView& pages) { return is_code(pages.dtype) ? TensorView{} : pages; };
  const int vector =
      std::min({choose_vector(half, p.q, p.k, p.table, floats(p.k_pages), p.q_weight, p.k_weight),
                choose_vector(Dh, p.q, p.table), choose_vector(Dv, p.v, floats(p.v_pages), p.table)});
  dispatch_vector<4>(vector, [&]<int kVector>(std::integral_constant<int, kVector>) {
    const auto heads = [](const TensorView& x, const TensorView& weight, const TensorView& pages,
                          const TensorView& scales) -> Heads {
      const auto vectors = static_cast<int32_t>(x.size(2) / kVector);
      return {rows_of(x), rows_of(weight), rows_of(pages), rows_of(scales), static_cast<int32_t>(x.size(1)),
              vectors,    vectors};
    };
    const auto values = [&]() -> Heads {
      Heads v = heads(p.v, {}, p.v_pages, p.v_scales);
      const ValueGroups groups = value_groups(p);
      if (groups.count == 1) return v;
      v.x.strides[2] = v.pages.strides[2] = groups.width;  // of a single head, whose groups lie side by side
      v.count = static_cast<int32_t>(groups.count);
      v.vectors = static_cast<int32_t>(groups.width / kVector);
      v.last_vectors -= (v.count - 1) * v.vectors;
      return v;
    };
    const auto site = [&](const char* text) { return context.fault_site(OpId::qk_norm_rope_store, text); };
    const Preparation params{heads(p.q, p.q_weight, {}, {}),
                             heads(p.k, p.k_weight, p.k_pages, p.k_scales),
                             values(),
                             rows_of(p.table),
                             p.positions.as<int32_t>(),
                             p.slots.as<int32_t>(),
                             T,
                             p.table.size(0),
                             p.k_pages.size(0) * p.k_pages.size(1),
                             static_cast<int32_t>(half / kVector),
                             static_cast<int32_t>(p.k_pages.size(1)),
                             p.eps,
                             site("positions[{index}] = {value} is outside [0, {limit})"),
                             site("slots[{index}] = {value} is outside [-1, {limit})")};
    const int64_t rows = T * (p.q.size(1) + p.k.size(1) + params.v.count);
    launch<qk_norm_rope_store_kernel<kVector>>(
        context,
        {.grid = dim3(static_cast<unsigned>((rows + kWarps - 1) / kWarps)),
         .threads = kWarps * kWarpSize,
         .shared_bytes = sizeof(PreparationPlan)},
        params);
  });
}

}  // namespace warploop::cuda
