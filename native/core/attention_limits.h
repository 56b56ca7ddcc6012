// What the attention ops have in common on every device: the sizes that check() lets pass, also for the
// kernels' fixed buffers, and keys without pages as keys in pages.
#pragma once
#include <cmath>

#include "core/check.h"

namespace warploop {

inline constexpr int64_t kMaxHeadWidth = 512;             // of Dh and Dv
inline constexpr int64_t kMaxAttentionSequences = 16384;  // of one call

/// The arguments that say Hq, Dh and Dv.
struct AttentionNames {
  const char *heads = "q", *width = "q", *value_width = "v";
};

inline void check_attention_sizes(Check& c, int64_t Hq, int64_t Hkv, int64_t Dh, int64_t Dv,
                                  const AttentionNames& names = {}) {
  const auto fits = [](int64_t width) { return width >= 16 && width <= kMaxHeadWidth && width % 16 == 0; };
  c.that(Hkv >= 1 && Hq % Hkv == 0, names.heads, "heads Hq in equal groups, a multiple of Hkv", Hq);
  c.that(fits(Dh), names.width, "a head width Dh that is a multiple of 16, 16 to 512", Dh);
  c.that(fits(Dv), names.value_width, "a head width Dv that is a multiple of 16, 16 to 512", Dv);
}

inline void check_scores(Check& c, float scale, float softcap) {
  c.that(std::isfinite(scale), "scale", "a finite number", scale);
  c.that(softcap == 0 || (softcap > 0 && std::isfinite(softcap) && std::isfinite(scale / softcap)), "softcap",
         "0 or a positive number by which scale can be divided", softcap);
}

/// [S, Hkv, D] as pages of one token, [S, 1, Hkv, D].
inline TensorView as_pages(const TensorView& t) {
  TensorView pages = t;
  pages.rank = 4;
  for (int i = 3; i >= 2; i--) pages.sizes[i] = t.sizes[i - 1], pages.strides[i] = t.strides[i - 1];
  pages.sizes[1] = 1, pages.strides[1] = 0;
  return pages;
}

}  // namespace warploop
