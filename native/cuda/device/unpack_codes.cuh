// Eight codes of a weight as four pairs of bf16 or f16, exactly and without a table: fields of bits are moved
// to where they mean the number, or the number and something that all of them have too much.
//
// Source: the fields as in vLLM's csrc/quantization/marlin/dequant.h (https://github.com/vllm-project/vllm);
//         int8 to bf16 is our own
#pragma once
#include "cuda/device/dtype.cuh"
#include "formats/coded_rows.h"

namespace warploop::cuda {

/// What every number of unpack_codes has too much: int4 comes as -8 to 7, so that sums of them do not cancel
/// where they are symmetric.
constexpr float added_to_codes(Codes codes) { return codes == Codes::int4 ? -8.0f : 0.0f; }

template <class T, Codes codes>
WARPLOOP_DEVICE uint32_t unpack_pair(uint32_t fields) {
  constexpr bool is_bf16 = std::is_same_v<T, bf16>;
  constexpr uint32_t kOne = is_bf16 ? 0x3f803f80u : 0x3c003c00u, kMinusZero = 0x80008000u;
  if constexpr (codes == Codes::int4) {  // in the four lowest bits of each half: 128 + code, or 1024 + code
    const uint32_t raised = (fields & 0x000f000fu) | (is_bf16 ? 0x43004300u : 0x64006400u);
    return fma_pair<T>(raised, kOne, is_bf16 ? 0xc308c308u : 0xe408e408u);
  } else if constexpr (codes == Codes::int8 && is_bf16) {
    // 128 + the low seven bits, less 128, or of a negative one 256: both are one bit apart.
    const uint32_t low = (fields & 0x007f007fu) | 0x43004300u, sign = (fields & 0x00800080u) | 0x43004300u;
    return fma_pair<T>(sign, 0xbf80bf80u, low);  // -1
  } else if constexpr (codes == Codes::int8) {
    const uint32_t raised = ((fields & 0x00ff00ffu) ^ 0x00800080u) | 0x64006400u;  // 1024 + 128 + code
    return fma_pair<T>(raised, kOne, 0xe480e480u);
  } else if constexpr (codes == Codes::fp8) {
    // Exponent and fraction of a wider number, whose exponent counts from elsewhere: times 2^120, or 2^8.
    const uint32_t sign = (fields & 0x00800080u) << 8, rest = fields & 0x007f007fu;
    return fma_pair<T>(sign | rest << (is_bf16 ? 4 : 7), is_bf16 ? 0x7b807b80u : 0x5c005c00u, kMinusZero);
  } else {  // fp4: times 2^126, or 2^14
    const uint32_t sign = (fields & 0x00080008u) << 12, rest = fields & 0x00070007u;
    return fma_pair<T>(sign | rest << (is_bf16 ? 6 : 9), is_bf16 ? 0x7e807e80u : 0x74007400u, kMinusZero);
  }
}

/// Of the lane's eight codes of 32 inputs, the sub-th of its piece: codes 2i and 2i + 1 in pairs[i], each
/// plus added_to_codes.
template <class T, Codes codes>
WARPLOOP_DEVICE void unpack_codes(const uint4& piece, int sub, uint32_t (&pairs)[4]) {
  const uint32_t words[4] = {piece.x, piece.y, piece.z, piece.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const CodedRows::Place at = CodedRows::place(codes, 2 * i);
    pairs[i] = unpack_pair<T, codes>(words[sub * CodedRows::words(codes) + at.word] >> at.shift);
  }
}

}  // namespace warploop::cuda
