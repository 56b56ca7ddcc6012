// The register-level pieces that attention on one tile of 64 keys needs in any case: units of multiplication,
// transposition, fetching ahead, the online softmax. The two products, S = Q K^T and O += P V, exist twice:
// attention_packed.h for many rows, attention_direct.h for few.
//
// Everything is written in UNITS of 32 bits, what one broadcast feeds to a multiply: a pair of bf16 values
// (vdpbf16ps) or one f32.
//
// Numerics: in both products a lane is one column (a key, a dimension of V) and sums over the steps in
// ascending order, whatever the number of rows or columns of a call and however the operands got there. So a
// row's result depends neither on the rows computed beside it nor on masked columns, whose terms are 0 (for
// values that are not finite: attention_item.h).
#pragma once
#include <algorithm>
#include <type_traits>
#include <utility>

#include "cpu/codes.h"
#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int kTileKeys = 64;
inline constexpr int kGroupRows = 8;  // most rows of one softmax call
#if defined(__AVX2__) && !defined(__AVX512F__)
inline constexpr int kSumRegisters = 12;  // of 16
#else
inline constexpr int kSumRegisters = 24;  // of 32
#endif

/// Products of f32 values; storage dtypes are widened while packing.
struct F32Units {
  static constexpr int kPerUnit = 1;
  static WARPLOOP_INLINE vf multiply_add(vu a, vu b, vf sum) {
    return fused_multiply_add(reinterpret_cast<vf>(a), reinterpret_cast<vf>(b), sum);
  }
};

#if defined(__AVX512BF16__)
/// Sums of two bf16 products at once, exact products and f32 sums.
struct Bf16Units {
  static constexpr int kPerUnit = 2;
  static WARPLOOP_INLINE vf multiply_add(vu a, vu b, vf sum) {
    return reinterpret_cast<vf>(_mm512_dpbf16_ps(reinterpret_cast<__m512>(sum), reinterpret_cast<__m512bh>(a),
                                                 reinterpret_cast<__m512bh>(b)));
  }
};
#endif

// --- transposition ---

typedef uint16_t vw __attribute__((vector_size(kLanes * 4)));  // a register of 16-bit elements

/// The elements of a and b in turn: the first half and the second half of the result.
template <class V, size_t... I>
WARPLOOP_INLINE std::pair<V, V> zip(V a, V b, std::index_sequence<I...>) {
  constexpr size_t kCount = sizeof...(I);
  return {__builtin_shufflevector(a, b, (I / 2 + I % 2 * kCount)...),
          __builtin_shufflevector(a, b, (kCount / 2 + I / 2 + I % 2 * kCount)...)};
}

/// x[i][j] <-> x[j][i]: log2(kLanes) rounds of zipping row i with row i + kLanes/2.
WARPLOOP_INLINE void transpose(vu (&x)[kLanes]) {
#pragma GCC unroll 4
  for (int round = 1; round < kLanes; round *= 2) {
    vu y[kLanes];
#pragma GCC unroll 8
    for (int i = 0; i < kLanes / 2; i++) {
      const auto [low, high] = zip(x[i], x[i + kLanes / 2], std::make_index_sequence<kLanes>{});
      y[2 * i] = low;
      y[2 * i + 1] = high;
    }
#pragma GCC unroll 16
    for (int i = 0; i < kLanes; i++) x[i] = y[i];
  }
}

// --- loading ---

#if defined(__AVX512BF16__)
/// 2 kLanes codes as bf16, which has all of them.
template <class T>
WARPLOOP_INLINE vw load_pairs(const T* p) {
  if constexpr (kIsCode<T>) {
    return reinterpret_cast<vw>(
        _mm512_cvtne2ps_pbh(reinterpret_cast<__m512>(load(p + kLanes)), reinterpret_cast<__m512>(load(p))));
  } else {
    return load_as<vw>(p);
  }
}
/// kLanes of them.
template <class T>
WARPLOOP_INLINE vh load_halves(const T* p) {
  if constexpr (kIsCode<T>) {
    return reinterpret_cast<vh>(_mm512_cvtneps_pbh(reinterpret_cast<__m512>(load(p))));
  } else {
    return load_as<vh>(p);
  }
}
#endif

/// The next `units` (at most kLanes) units of a row; the others are 0.
template <class Units, class T>
WARPLOOP_INLINE vu load_units(const T* p, int64_t units) {
  if constexpr (Units::kPerUnit == 1) {
    const vf x = load(p);
    return load_as<vu>(&x);
  } else {
    if (units >= kLanes) return reinterpret_cast<vu>(load_pairs(p));
    vu x{};
    if constexpr (kIsCode<T>) {
      const vh half = load_halves(p);  // widths are multiples of 16
      std::memcpy(&x, &half, sizeof half);
    } else {
      std::memcpy(&x, p, units * sizeof(uint32_t));
    }
    return x;
  }
}

/// kVectors * kLanes columns of V for one unit: the values of a token, or the pairs of two tokens.
template <class Units, int kVectors, class T>
WARPLOOP_INLINE void load_value_units(const T* const* values, int64_t at, vu (&units)[kVectors]) {
  if constexpr (Units::kPerUnit == 1) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j++) {
      const vf x = load(values[0] + at + j * kLanes);
      units[j] = load_as<vu>(&x);
    }
  } else if constexpr (kVectors % 2 == 0) {
#pragma GCC unroll 8
    for (int j = 0; j < kVectors; j += 2) {
      const vw even = load_pairs(values[0] + at + j * kLanes), odd = load_pairs(values[1] + at + j * kLanes);
      const auto [low, high] = zip(even, odd, std::make_index_sequence<2 * kLanes>{});
      units[j] = reinterpret_cast<vu>(low);
      units[j + 1] = reinterpret_cast<vu>(high);
    }
  } else {
    static_assert(kVectors == 1);
    const vu even = __builtin_convertvector(load_halves(values[0] + at), vu);
    const vu odd = __builtin_convertvector(load_halves(values[1] + at), vu);
    units[0] = even | odd << 16;
  }
}

/// The units of a query.
template <class Units, class T>
void pack_query(const T* q, int64_t width, uint32_t* packed) {
  if constexpr (Units::kPerUnit == 1) {
    for (int64_t d = 0; d < width; d += kLanes) store(reinterpret_cast<float*>(packed) + d, load(q + d));
  } else {
    std::memcpy(packed, q, width * sizeof(T));
  }
}

/// Where the keys and values of a tile lie; all null: the tile does not exist. Rows that nobody sees repeat
/// another one.
template <class T>
struct TileRows {
  const T* keys[kTileKeys];
  const T* values[kTileKeys];
  const float* key_scales[kTileKeys];  // of codes only
  const float* value_scales[kTileKeys];
};

/// Asks for the cache lines of the rows [begin, end), `bytes` each, a few at a time while something else is
/// computed: memory then works during the arithmetic. A row holds all heads of a token, because only long
/// contiguous reads reach the speed of memory (256-byte pieces of 2 KB rows: a third of it).
template <class T>
class FetchAhead {
 public:
  FetchAhead(const T* const* begin, const T* const* end, int64_t bytes, int64_t offset = 0)
      : row_(begin), end_(end), bytes_(bytes), offset_(offset) {
    if (begin < end && !*begin) row_ = end;
  }

  /// The next `count` lines.
  WARPLOOP_INLINE void lines(int64_t count) {
    while (count > 0 && row_ != end_) {
      const int64_t stop = std::min(at_ + count * kLineBytes, bytes_);
      count -= (stop - at_ + kLineBytes - 1) / kLineBytes;
      const auto* row = reinterpret_cast<const char*>(*row_ + offset_);
      for (; at_ < stop; at_ += kLineBytes) __builtin_prefetch(row + at_, 0, 2);
      if (at_ >= bytes_) at_ = 0, row_++;
    }
  }

 private:
  static constexpr int64_t kLineBytes = 64;
  const T* const* row_;
  const T* const* end_;
  int64_t bytes_;
  int64_t offset_;  // elements of a row that are left out
  int64_t at_ = 0;
};

// --- the online softmax ---

/// 2^x for x <= 0: exactly 1 at 0 and exactly 0 below -126; NaN stays NaN. Relative error 2e-7.
WARPLOOP_INLINE vf exp2_nonpositive(vf x) {
  const vf clamped = x < -126.0f ? splat(-127.0f) : x;
  const vf shifted = clamped + 12582912.0f;  // 1.5 * 2^23: the sum is rounded to an integer
  const vf f = clamped - (shifted - 12582912.0f);
  vf p = splat(1.3264727313e-3f);  // 2^f, |f| <= 1/2: minimax with the constant fixed at 1
  p = p * f + 9.6715129912e-3f;
  p = p * f + 5.5507335812e-2f;
  p = p * f + 2.4022242427e-1f;
  p = p * f + 6.9314700365e-1f;
  p = p * f + 1.0f;
  const vi exponent = (load_as<vi>(&shifted) - 0x4b400000 + 127) << 23;
  return p * load_as<vf>(&exponent);
}

template <size_t... I>
WARPLOOP_INLINE vi lane_numbers(std::index_sequence<I...>) {
  return vi{static_cast<int32_t>(I)...};
}

/// The keys of the tile that a row sees: columns [begin, end) without a bit in `hidden`.
struct Visible {
  int begin, end;
  uint64_t hidden;

  bool operator==(const Visible&) const = default;
  bool sees(int column) const { return column >= begin && column < end && !(hidden >> column & 1); }
};
static_assert(kTileKeys <= 64, "bits of Visible::hidden");

/// Values of the columns from j where they are visible, `other` elsewhere.
WARPLOOP_INLINE vf where_visible(vf of, int j, const Visible& visible, vf other) {
  const vi lane = lane_numbers(std::make_index_sequence<kLanes>{}), column = lane + j;
  vf x = column >= visible.begin ? of : other;
  x = column < visible.end ? x : other;
  if (visible.hidden == 0) return x;
  const vi bits = vi{} + static_cast<int32_t>(visible.hidden >> j & ((1u << kLanes) - 1));
  return (bits >> lane & 1) == 0 ? x : other;
}

/// The online softmax of some rows, in base 2: probabilities are relative to the running maximum.
struct SoftmaxState {
  float* max;    // [rows]: maximum of log2(e) * scale * score so far; -inf: nothing seen
  float* sum;    // [rows][kLanes]: partial sums of the probabilities
  float* decay;  // [rows] out: what earlier sums must be multiplied with
};

/// scores [rows][kTileKeys] -> weights, packed units [rows][kTileKeys / kPerUnit]. `columns` is a multiple of
/// kLanes. kScaled: a weight is the probability times the key's factor, which may be anything where nobody
/// sees it.
template <class Units, bool kScaled>
void softmax(int rows, int columns, const Visible* visible, float scale, float* scores, const float* factors,
             const SoftmaxState& state, uint32_t* weights) {
  static_assert(kGroupRows <= 2 * kLanes);
  float base[kGroupRows] = {};
  float change[2 * kLanes] = {};
  for (int r = 0; r < rows; r++) {
    float* row = scores + r * kTileKeys;
    vf highest = splat(-kInf);
    const bool all = visible[r].begin <= 0 && visible[r].end >= columns && visible[r].hidden == 0;
    for (int j = 0; j < columns; j += kLanes) {
      vf x = load(row + j) * scale;
      if (!all) x = where_visible(x, j, visible[r], splat(-kInf));
      store(row + j, x);
      highest = max(highest, x);
    }
    const float before = state.max[r], after = std::max(before, reduce_max(highest));
    state.max[r] = after;
    base[r] = after == -kInf ? 0 : after;  // a row that has seen nothing: 2^(-inf - 0) = 0
    change[r] = before - base[r];
  }
  for (int r = 0; r < rows; r += kLanes) store(change + r, exp2_nonpositive(load(change + r)));
  std::memcpy(state.decay, change, rows * sizeof(float));

  for (int r = 0; r < rows; r++) {
    const float* row = scores + r * kTileKeys;
    vf sum{};
    for (int j = 0; j < columns; j += kLanes) {
      vf p = exp2_nonpositive(load(row + j) - base[r]);
      sum += p;
      if constexpr (kScaled) p = where_visible(p * load(factors + j), j, visible[r], vf{});
      if constexpr (Units::kPerUnit == 1) {
        store(reinterpret_cast<float*>(weights) + r * kTileKeys + j, p);
      } else {
        store(reinterpret_cast<bf16_t*>(weights) + r * kTileKeys + j, p);
      }
    }
    float* total = state.sum + r * kLanes;
    store(total, load(total) * change[r] + sum);
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
