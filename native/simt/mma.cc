// The lanes' fragments are collected into plain matrices, multiplied, and handed back. Sums run over k in
// order, in f32: tensor cores round differently, so results agree only within a tolerance.
#include "simt/mma.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "simt/race.h"
#include "simt/rendezvous.h"
#include "simt/scheduler.h"

namespace warploop::simt {
namespace {

constexpr uint32_t kAllLanes = 0xffffffffu;

// Slots hold values, not pointers to the lanes' arrays, and fill a cache line: the lane that does the work
// touches one line of every other lane's stack.
struct alignas(64) LoadSlot {
  uint16_t row[8];
  uint32_t address;
  uint32_t r[4];
};

/// The eight rows of a matrix come in one access when they lie in different groups of four banks.
void count_conflicts(const LoadSlot* const* rows) {
  int uses[8] = {}, most = 0;
  for (int i = 0; i < 8; i++) most = std::max(most, ++uses[rows[i]->address >> 4 & 7]);
  Counters& counters = scheduler().counters;
  counters.matrix_loads++;
  counters.bank_conflicts += static_cast<uint64_t>(most - 1);
}

uint32_t pair(uint16_t low, uint16_t high) { return low | static_cast<uint32_t>(high) << 16; }

struct alignas(64) MmaSlot {
  float d[4];
  uint32_t a[4], b[2];
};

float widen_f16(uint16_t h) {
  const uint32_t magnitude = (h & 0x7fffu) << 13;
  // As f32 the exponent is 112 too small; the product also normalises subnormals.
  float value = std::bit_cast<float>(magnitude) * 0x1p112f;
  if (magnitude >= 0x7c00u << 13) value = std::bit_cast<float>(magnitude | 0x7f800000u);
  return (h & 0x8000u) ? -value : value;
}
float widen_bf16(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }

using Row = float __attribute__((vector_size(32)));  // of d and b

/// d[16, 8] += a[16, 16] b[16, 8] of the 32 lanes; the fragments are drawn in cuda/device/mma.cuh.
template <float (*to_float)(uint16_t)>
void multiply(MmaSlot* const* slots) {
  alignas(64) float a[16][16], b[16][8], d[16][8];
  const auto low = [](uint32_t pair) { return to_float(static_cast<uint16_t>(pair)); };
  const auto high = [](uint32_t pair) { return to_float(static_cast<uint16_t>(pair >> 16)); };
  for (int lane = 0; lane < 32; lane++) {
    const MmaSlot& slot = *slots[lane];
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int i = 0; i < 4; i++) {
      float* two = &a[g + i % 2 * 8][t + i / 2 * 8];
      two[0] = low(slot.a[i]);
      two[1] = high(slot.a[i]);
    }
    for (int i = 0; i < 2; i++) {
      b[t + 8 * i][g] = low(slot.b[i]);
      b[t + 8 * i + 1][g] = high(slot.b[i]);
    }
    std::memcpy(&d[g][t], slot.d, 8);
    std::memcpy(&d[g + 8][t], slot.d + 2, 8);
  }
  constexpr int kRows = 4;  // at a time: independent sums hide the latency of the additions
  for (int m = 0; m < 16; m += kRows) {
    Row sum[kRows];
    std::memcpy(sum, d[m], sizeof sum);
    for (int k = 0; k < 16; k++) {
      Row row;
      std::memcpy(&row, b[k], sizeof row);
      for (int i = 0; i < kRows; i++) sum[i] += a[m + i][k] * row;
    }
    std::memcpy(d[m], sum, sizeof sum);
  }
  for (int lane = 0; lane < 32; lane++) {
    const int g = lane / 4, t = 2 * (lane % 4);
    std::memcpy(slots[lane]->d, &d[g][t], 8);
    std::memcpy(slots[lane]->d + 2, &d[g + 8][t], 8);
  }
}

}  // namespace

void load_matrices(uint32_t* r, int matrices, bool transposed, uint32_t row_address, Site site) {
  const char* name = transposed ? "load_matrix (transposed)" : "load_matrix";
  LoadSlot own;
  own.address = row_address;
  if (self().lane < 8 * matrices) {
    const std::byte* row = shared_pointer(row_address, 16, 16, name, site);
    race::read(self(), row, 16, site);
    std::memcpy(own.row, row, 16);
  }
  meet(name, kAllLanes, own, site, [&](LoadSlot* const* slots) {
    for (int m = 0; m < matrices; m++) {
      LoadSlot* const* rows = slots + 8 * m;
      count_conflicts(rows);
      for (int lane = 0; lane < 32; lane++) {
        const int g = lane / 4, t = 2 * (lane % 4);
        slots[lane]->r[m] = transposed ? pair(rows[t]->row[g], rows[t + 1]->row[g])
                                       : pair(rows[g]->row[t], rows[g]->row[t + 1]);
      }
    }
  });
  std::copy_n(own.r, matrices, r);
}

float widen(MmaType type, uint16_t bits) {
  return type == MmaType::bf16 ? widen_bf16(bits) : widen_f16(bits);
}

void mma_m16n8k16(MmaType type, float* d, const uint32_t* a, uint32_t b0, uint32_t b1, Site site) {
  MmaSlot own{{d[0], d[1], d[2], d[3]}, {a[0], a[1], a[2], a[3]}, {b0, b1}};
  meet("mma_m16n8k16", kAllLanes, own, site, [&](MmaSlot* const* slots) {
    scheduler().counters.matrix_products++;
    if (type == MmaType::bf16) {
      multiply<widen_bf16>(slots);
    } else {
      multiply<widen_f16>(slots);
    }
  });
  std::copy_n(own.d, 4, d);
}

}  // namespace warploop::simt
