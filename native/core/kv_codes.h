// Keys and values that are kept as codes of 8 bits: i8 or fp8e4m3, with a factor for each head of each token;
// latents with one for each kLatentGroup numbers of a token, each group being a head as far as this goes.
// Whoever writes and whoever reads pages agrees here.
//
// Of a head x, most = max |x|:
//   scale = most / kMostCode, code = round(x (kMostCode / most)), value = code scale
// - All of it is f32, each operation rounded by itself, so that every device writes the same codes.
// - Rounds to nearest even. The largest element becomes the largest code; what rounding puts beyond it,
//   saturates.
// - A head with NaN or infinity is one of NaN: its scale is, and whoever sees it sees that. A head whose
//   elements are all below kLeastHead is one of zeros: for smaller ones kMostCode / most would be infinity.
// - The codes 0x7f and 0xff, NaN in e4m3, are never written; who reads one takes it for 480 or -480.
#pragma once
#include "core/check.h"
#include "core/dtype.h"

namespace warploop {

inline constexpr float kLeastHead = 1e-30f;
constexpr float most_code(DType codes) { return codes == DType::i8 ? 127.0f : 448.0f; }

/// What pages may hold.
inline constexpr unsigned kPageDtypes = kFloats | dtype_bit(DType::i8) | dtype_bit(DType::fp8e4m3);

/// Numbers of a latent with one scale, apart from the last ones, which may be fewer.
inline constexpr int64_t kLatentGroup = 128;
constexpr int64_t latent_groups(int64_t width) { return (width + kLatentGroup - 1) / kLatentGroup; }

/// Codes have scales, so many for each token, and floats have none.
inline void check_scales(Check& c, const char* name, const TensorView& scales, const TensorView& pages,
                         Sym& P, Sym& Ps, Dim count) {
  c.optional(name, scales).dtype(kF32).shape({P, Ps, count}).rows();
  c.that(is_code(pages.dtype) || !scales, name, "none, because the pages hold no codes", "a tensor");
  c.that(!is_code(pages.dtype) || scales, name, "a tensor, because the pages hold codes", "none");
}

}  // namespace warploop
