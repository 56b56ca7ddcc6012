// One row of logits, for the block of threads that chooses among its tokens: what was read and summarised
// into block maxima by a streaming pass is visited again here, and blocks that hold nothing of interest cost
// one comparison.
#pragma once
#include <bit>

#include "cuda/device/rows.cuh"
#include "cuda/device/warp.cuh"
#include "cuda/logits/logit_order.cuh"

namespace warploop::cuda {

/// Threads for a row: a warp goes through 32 blocks at a time. A power of two.
inline int threads_per_row(int64_t V) {
  constexpr int64_t kTokens = kWarpSize * kLogitBlock;
  return kWarpSize * static_cast<int>(std::bit_ceil(
                         static_cast<uint64_t>(std::min<int64_t>((V + kTokens - 1) / kTokens, 32))));
}
inline constexpr int kRowThreads = 1024;

/// Tokens that are kept form a prefix of the ranking by descending logit, then ascending id.
struct Cutoff {
  float value;   // larger logits are kept
  uint32_t end;  // logits equal to `value` are kept below this id

  WARPLOOP_DEVICE bool keeps(float v, uint32_t id) const { return v > value || (v == value && id < end); }
};
inline constexpr uint32_t kEveryId = 0xffffffffu;

struct LogitRow {
  static constexpr int kTogether = 4;  // blocks that a warp loads together

  const void* logits;
  DType dtype;
  const int32_t* mask;  // null: every token is allowed
  const float* maxima;  // [blocks]
  uint32_t V;
  float highest;

  /// What a lane holds of the blocks that its warp has loaded, comparable: of each the tokens lane and 32 +
  /// lane; -inf beyond the row.
  using Values = float[kTogether][2];

  WARPLOOP_DEVICE uint32_t blocks() const { return V / kLogitBlock + (V % kLogitBlock != 0); }

  /// body(id, value) for the tokens of the blocks b for which alive(maxima[b]) holds, each block by one warp:
  /// all its lanes call the body together, also with ids beyond the row (value -inf). `pause` is called by
  /// all lanes now and then.
  template <class Alive, class Body, class Pause>
  WARPLOOP_DEVICE void visit(const Alive& alive, const Body& body, const Pause& pause) const {
    const int lane = lane_index();
    const uint32_t count = blocks();
    for (uint32_t first = threadIdx.x - lane; first < count; first += blockDim.x) {
      uint32_t live = ballot(first + lane < count && alive(maxima[first + lane]));
      while (live != 0) {
        uint32_t rest = live;
#pragma unroll
        for (int i = 0; i < kTogether; i++) rest &= rest - 1;
        uint32_t batch = live ^ rest;
        live = rest;
        Values values;
        load(first, batch, values);
#pragma unroll 1
        for (; batch != 0; batch &= batch - 1) {  // not unrolled: bodies are long
          const uint32_t id = token_of(first, batch);
          body(id, values[0][0]);
          body(id + kWarpSize, values[0][1]);
#pragma unroll
          for (int next = 1; next < kTogether;
               next++) {  // registers have no index: the next block moves to the front
            values[next - 1][0] = values[next][0];
            values[next - 1][1] = values[next][1];
          }
        }
        pause();
      }
    }
  }
  template <class Alive, class Body>
  WARPLOOP_DEVICE void visit(const Alive& alive, const Body& body) const {
    visit(alive, body, [] {});
  }

  /// Loads the blocks first + i for the bits i of `batch`, of which there are at most kTogether.
  WARPLOOP_DEVICE void load(uint32_t first, uint32_t batch, Values& values) const {
    uint32_t raw[kTogether][2];
    if (dtype == DType::f32) {  // uniform: the loads of a branch are under way together
      load_raw(static_cast<const uint32_t*>(logits), first, batch, raw);
    } else {
      load_raw(static_cast<const uint16_t*>(logits), first, batch, raw);
    }
#pragma unroll
    for (int i = 0; i < kTogether; i++) {
      const uint32_t id = batch != 0 ? token_of(first, batch) : V;
#pragma unroll
      for (int half = 0; half < 2; half++) {
        values[i][half] = is_allowed(id + half * kWarpSize) ? value_of_raw(raw[i][half]) : -INFINITY;
      }
      batch &= batch - 1;
    }
  }
  /// One logit, comparable; id < V.
  WARPLOOP_DEVICE float value_of(uint32_t id) const {
    if (!is_allowed(id)) return -INFINITY;
    if (dtype == DType::f32) return value_of_raw(static_cast<const uint32_t*>(logits)[id]);
    return value_of_raw(static_cast<const uint16_t*>(logits)[id]);
  }

 private:
  /// The lane's token of the block of the lowest bit.
  WARPLOOP_DEVICE static uint32_t token_of(uint32_t first, uint32_t batch) {
    return (first + static_cast<uint32_t>(std::countr_zero(batch))) * kLogitBlock + lane_index();
  }
  template <class Raw>
  WARPLOOP_DEVICE void load_raw(const Raw* row, uint32_t first, uint32_t batch,
                                uint32_t (&raw)[kTogether][2]) const {
#pragma unroll
    for (int i = 0; i < kTogether; i++) {
      const uint32_t id = batch != 0 ? token_of(first, batch) : V;
#pragma unroll
      for (int half = 0; half < 2; half++)
        raw[i][half] = id + half * kWarpSize < V ? row[id + half * kWarpSize] : 0u;
      batch &= batch - 1;
    }
  }
  WARPLOOP_DEVICE bool is_allowed(uint32_t id) const {
    return id < V && (!mask || (static_cast<uint32_t>(mask[id / 32]) >> id % 32 & 1));
  }
  WARPLOOP_DEVICE float value_of_raw(uint32_t raw) const {
    if (dtype == DType::f32) return comparable(std::bit_cast<float>(raw));
    return comparable(dtype == DType::bf16 ? low_of<bf16>(raw) : low_of<f16>(raw));
  }
};

}  // namespace warploop::cuda
