// The register-level pieces of attention on one tile of 64 keys: packing, the micro kernel, the online softmax. How tiles,
// rows and sequences are walked is attention.cc's business.
//
// Everything is written in UNITS of 32 bits, what one broadcast feeds to a multiply: a pair of bf16 values (vdpbf16ps) or
// one f32. Operands of both products, S = Q K^T and O += P V, are packed as [steps][columns] of units.
//
// Numerics: a lane is one column and sums over the steps in ascending order, whatever the number of rows or columns of a
// call. So a row's result depends neither on the rows computed beside it nor on masked columns, whose terms are 0.
#pragma once
#include <algorithm>
#include <type_traits>
#include <utility>

#include "cpu/simd.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int kTileKeys = 64;
inline constexpr int kGroupRows = 6;  // rows of the micro kernel: 6 x 4 sums fill 24 of 32 vector registers
#if defined(__AVX2__) && !defined(__AVX512F__)
inline constexpr int kGroupVectors = 2;  // 16 registers
#else
inline constexpr int kGroupVectors = 4;
#endif

/// a * b + c, rounded once. Explicit, because the compiler may contract `x * y + z * w` in two ways.
WARPLOOP_INLINE vf fused_multiply_add(vf a, vf b, vf c) {
#if defined(__AVX512F__)
  return reinterpret_cast<vf>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(__AVX2__)
  return reinterpret_cast<vf>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#elif defined(__aarch64__)
  return reinterpret_cast<vf>(vfmaq_f32(reinterpret_cast<float32x4_t>(c), reinterpret_cast<float32x4_t>(a),
                                        reinterpret_cast<float32x4_t>(b)));
#else
  return a * b + c;
#endif
}

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

template <size_t... I>
WARPLOOP_INLINE std::pair<vu, vu> zip(vu a, vu b, std::index_sequence<I...>) {
  return {__builtin_shufflevector(a, b, (I / 2 + I % 2 * kLanes)...),
          __builtin_shufflevector(a, b, (kLanes / 2 + I / 2 + I % 2 * kLanes)...)};
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

// --- packing ---

/// The next `units` (at most kLanes) units of a row; the others are 0.
template <class Units, class T>
WARPLOOP_INLINE vu load_units(const T* p, int64_t units) {
  if constexpr (Units::kPerUnit == 1) {
    const vf x = load(p);
    return load_as<vu>(&x);
  } else {
    if (units >= kLanes) return load_as<vu>(p);
    vu x{};
    std::memcpy(&x, p, units * sizeof(uint32_t));
    return x;
  }
}

/// Asks for the cache lines of `rows`, each `bytes` long, one line per call of next(). Called while something else is
/// packed: memory then works during the arithmetic. Rows run over all heads of a token, because only long contiguous
/// reads reach the speed of memory (256-byte pieces of 2 KB rows: a third of it).
template <class T>
class FetchAhead {
 public:
  /// `rows` ends with null; entries may be null before that, too, which ends the fetching early.
  FetchAhead(const T* const* rows, const T* const* end, int64_t bytes) : row_(rows), end_(end), bytes_(bytes) {}

  WARPLOOP_INLINE void next() {
    if (row_ == end_) return;
    if (*row_) __builtin_prefetch(reinterpret_cast<const char*>(*row_) + at_, 0, 2);
    at_ += 64;
    if (at_ >= bytes_) at_ = 0, row_++;
  }

 private:
  const T* const* row_;
  const T* const* end_;
  int64_t bytes_;
  int64_t at_ = 0;
};

/// packed[u][j] = unit u of keys[j], 0 <= j < columns (a multiple of kLanes).
template <class Units, class T>
void pack_keys(const T* const* keys, int64_t width, int columns, FetchAhead<T> ahead, uint32_t* packed) {
  const int64_t units = width / Units::kPerUnit;
  for (int j = 0; j < columns; j += kLanes) {
    for (int64_t u = 0; u < units; u += kLanes) {
      vu x[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; i++) {
        ahead.next();
        x[i] = load_units<Units>(keys[j + i] + u * Units::kPerUnit, units - u);
      }
      transpose(x);
      const int count = static_cast<int>(std::min<int64_t>(kLanes, units - u));
      uint32_t* to = packed + u * kTileKeys + j;
      for (int i = 0; i < count; i++, to += kTileKeys) std::memcpy(to, &x[i], sizeof(vu));
    }
  }
}

/// packed[u][d] = unit u of column d: the values of one token, or of the two tokens 2u and 2u + 1.
template <class Units, class T>
void pack_values(const T* const* values, int64_t width, int columns, FetchAhead<T> ahead, uint32_t* packed) {
  for (int j = 0; j < columns; j += Units::kPerUnit, packed += width) {
    for (int64_t d = 0; d < width; d += kLanes) {
      ahead.next();
      if constexpr (Units::kPerUnit == 1) {
        store(reinterpret_cast<float*>(packed) + d, load(values[j] + d));
      } else {
        const vu even = __builtin_convertvector(load_as<vh>(values[j] + d), vu);
        const vu odd = __builtin_convertvector(load_as<vh>(values[j + 1] + d), vu);
        const vu pairs = even | odd << 16;
        std::memcpy(packed + d, &pairs, sizeof pairs);
      }
    }
  }
}

template <class Units, class T>
void pack_query(const T* q, int64_t width, uint32_t* packed) {
  if constexpr (Units::kPerUnit == 1) {
    for (int64_t d = 0; d < width; d += kLanes) store(reinterpret_cast<float*>(packed) + d, load(q + d));
  } else {
    std::memcpy(packed, q, width * sizeof(T));
  }
}

// --- the micro kernel ---

/// c[r][j] = row_scale[r] * c[r][j] + sum over s of a[r][s] . b[s][j]; row_scale null: c starts at 0.
template <class Units, int kRows, int kVectors>
void multiply_block(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t steps,
                    const float* row_scale, float* c, int64_t ldc) {
  vf sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) {
      sum[r][j] = row_scale ? load(c + r * ldc + j * kLanes) * row_scale[r] : vf{};
    }
  }
  for (int64_t s = 0; s < steps; s++, b += ldb) {
    vu columns[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) columns[j] = load_as<vu>(b + j * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const vu unit = a[r * lda + s] - vu{};
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; j++) sum[r][j] = Units::multiply_add(unit, columns[j], sum[r][j]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; j++) store(c + r * ldc + j * kLanes, sum[r][j]);
  }
}

template <class Units, int kRows>
void multiply_rows(const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t steps,
                   const float* row_scale, float* c, int64_t ldc, int64_t columns) {
  int64_t j = 0;
  for (; j + kGroupVectors * kLanes <= columns; j += kGroupVectors * kLanes) {
    multiply_block<Units, kRows, kGroupVectors>(a, lda, b + j, ldb, steps, row_scale, c + j, ldc);
  }
  for (; j < columns; j += kLanes) multiply_block<Units, kRows, 1>(a, lda, b + j, ldb, steps, row_scale, c + j, ldc);
}

/// multiply_block of up to kGroupRows rows and any number of columns (a multiple of kLanes).
template <class Units>
void multiply(int rows, const uint32_t* a, int64_t lda, const uint32_t* b, int64_t ldb, int64_t steps,
              const float* row_scale, float* c, int64_t ldc, int64_t columns) {
  const auto part = [&]<int kRows>(std::integral_constant<int, kRows>) {
    multiply_rows<Units, kRows>(a, lda, b, ldb, steps, row_scale, c, ldc, columns);
    a += kRows * lda;
    c += kRows * ldc;
    if (row_scale) row_scale += kRows;
    rows -= kRows;
  };
  if (rows == kGroupRows) return part(std::integral_constant<int, kGroupRows>{});
  if (rows >= 4) part(std::integral_constant<int, 4>{});
  if (rows >= 2) part(std::integral_constant<int, 2>{});
  if (rows >= 1) part(std::integral_constant<int, 1>{});
}

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

/// The keys of the tile that a row sees: columns [begin, end).
struct Visible {
  int begin, end;
};

/// One row of the online softmax, in base 2: raw scores become probabilities relative to the running maximum.
struct SoftmaxState {
  float* max;    // [rows]: maximum of log2(e) * scale * score so far; -inf: nothing seen
  float* sum;    // [rows][kLanes]: partial sums of the probabilities
  float* decay;  // [rows] out: what earlier sums must be multiplied with
};

/// scores [rows][kTileKeys] -> weights, packed units [rows][kTileKeys / kPerUnit]. `columns` is a multiple of kLanes.
template <class Units>
void softmax(int rows, int columns, const Visible* visible, float scale, float* scores, const SoftmaxState& state,
             uint32_t* weights) {
  static_assert(kGroupRows <= 2 * kLanes);
  float base[kGroupRows] = {};
  float change[2 * kLanes] = {};
  for (int r = 0; r < rows; r++) {
    float* row = scores + r * kTileKeys;
    vf highest = splat(-kInf);
    const bool all = visible[r].begin <= 0 && visible[r].end >= columns;
    for (int j = 0; j < columns; j += kLanes) {
      vf x = load(row + j) * scale;
      if (!all) {
        const vi column = lane_numbers(std::make_index_sequence<kLanes>{}) + j;
        x = column >= visible[r].begin ? x : splat(-kInf);
        x = column < visible[r].end ? x : splat(-kInf);
      }
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
      const vf p = exp2_nonpositive(load(row + j) - base[r]);
      sum += p;
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
