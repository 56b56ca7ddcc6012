// Codes of weights as the signed bytes that integer products take (cpu/int8_dot.h), and the float steps
// behind an integer sum.
#pragma once
#include "cpu/code_panels.h"
#include "cpu/int8_dot.h"
#include "cpu/int8_rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Whether codes meet x without a sign (kHasRawNibbles).
template <Codes codes>
inline constexpr bool kIsRaw = kHasRawNibbles && Quantised<codes>::kIsNibble;
/// Calls of add_pairs that fit 16 bits, each of four inputs. 0: codes are not raw.
template <Codes codes>
inline constexpr int kPairSteps = !kIsRaw<codes>        ? 0
                                  : codes == Codes::fp4 ? 4
                                                        : 8;

/// What all raw codes have too much.
inline constexpr int8_t kFp4Offset = kHasRawNibbles ? 12 : 0;
template <Codes codes>
int32_t raw_offset(const CodeWeight& w) {
  if (!kIsRaw<codes>) return 0;
  if (codes == Codes::fp4) return kFp4Offset;
  return w.numbers.offset == OffsetType::none ? 8 : 0;  // as panel_zeros
}
/// Whether there are zero points that are taken off integer sums.
template <Codes codes>
bool has_sum_zeros(const CodeWeight& w) {
  return w.numbers.offset == OffsetType::zero && (codes == Codes::int8 || kIsRaw<codes>);
}

/// e2m1 codes, a byte each, as twice their value: 0 1 2 3 4 6 8 12 and their negatives, with the bias.
WARPLOOP_INLINE vu fp4_bytes(vu codes) {
  constexpr int8_t o = kFp4Offset;
  alignas(16) static constexpr int8_t kTwice[16] = {o, 1 + o, 2 + o, 3 + o, 4 + o, 6 + o, 8 + o, 12 + o,
                                                    o, o - 1, o - 2, o - 3, o - 4, o - 6, o - 8, o - 12};
  const uint32_t kBias = kByteBias ? 0x80808080u : 0;
#if defined(__AVX512F__)
  const __m512i table = _mm512_broadcast_i32x4(load_as<__m128i>(kTwice));
  return reinterpret_cast<vu>(_mm512_shuffle_epi8(table, reinterpret_cast<__m512i>(codes))) ^ kBias;
#elif defined(__AVX2__)
  const __m256i table = _mm256_broadcastsi128_si256(load_as<__m128i>(kTwice));
  return reinterpret_cast<vu>(_mm256_shuffle_epi8(table, reinterpret_cast<__m256i>(codes))) ^ kBias;
#elif defined(__aarch64__)
  return reinterpret_cast<vu>(vqtbl1q_u8(load_as<uint8x16_t>(kTwice), reinterpret_cast<uint8x16_t>(codes))) ^
         kBias;
#endif
}

/// Four bytes of each lane: codes less zero points where these fit, with the bias.
template <Codes codes>
WARPLOOP_INLINE vu signed_bytes(vu word, vu zero) {
  constexpr uint32_t kSigns = 0x80808080u;
  if constexpr (codes == Codes::int8) return kByteBias ? word ^ kSigns : word;
  if constexpr (codes == Codes::fp4) return fp4_bytes(word);
  if constexpr (kIsRaw<codes>) return word;
  // Bytes of 0 to 15 less 0 to 15, without a borrow from their neighbours.
  const vu biased = (word | kSigns) - zero;
  return kByteBias ? biased : biased ^ kSigns;
}

/// The zero points that signed_bytes takes off, four bytes of each lane, for the group of input k.
template <Codes codes>
void byte_zeros(const CodeWeight& w, const uint8_t* panel, int64_t k, vu* out) {
  const PanelInts zeros = panel_zeros<codes>(w, panel, std::min(k / w.group(), w.at.groups - 1));
  for (int v = 0; v < kPanelVectors; v++) out[v] = load_as<vu>(&zeros.v[v]) * 0x01010101u;
}

/// sum + (integer sum factor) scale - weighted sum of x minimum, for one vector of columns.
WARPLOOP_INLINE vf add_part(vf sum, vi integers, const DotNumbers& numbers, vf scale) {
  return fused_multiply_add(__builtin_convertvector(integers, vf) * numbers.factor, scale, sum);
}
WARPLOOP_INLINE vf subtract_minimum(vf sum, const DotNumbers& numbers, vf minimum) {
  return fused_multiply_add(minimum, splat(-numbers.weighted), sum);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
