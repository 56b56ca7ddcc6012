// What the attention ops have in common on every device: the sizes that check() lets pass, also for the
// kernels' fixed buffers, and keys without pages as keys in pages.
#pragma once
#include <cmath>

#include "core/check.h"

namespace warploop {

inline constexpr int64_t kMaxHeadWidth = 512;             // of Dh and Dv
inline constexpr int64_t kMaxLatentWidth = 576;           // of keys whose first columns are the values
inline constexpr int64_t kMaxAttentionSequences = 16384;  // of one call

inline bool is_head_width(int64_t width, int64_t most) {
  return width >= 16 && width <= most && width % 16 == 0;
}

/// The arguments that say Hq, Dh and Dv.
struct AttentionNames {
  const char *heads = "q", *width = "q", *value_width = "v";
};

inline void check_attention_sizes(Check& c, int64_t Hq, int64_t Hkv, int64_t Dh, int64_t Dv,
                                  const AttentionNames& names = {}) {
  c.that(Hkv >= 1 && Hq % Hkv == 0, names.heads, "heads Hq in equal groups, a multiple of Hkv", Hq);
  c.that(is_head_width(Dh, kMaxHeadWidth), names.width, "a head width Dh that is a multiple of 16, 16 to 512",
         Dh);
  c.that(is_head_width(Dv, kMaxHeadWidth), names.value_width,
         "a head width Dv that is a multiple of 16, 16 to 512", Dv);
}

/// Latents of `width` = R + Dr columns, the first R of which are the values.
inline void check_latent_sizes(Check& c, int64_t width, int64_t R, const char* width_name,
                               const char* R_name) {
  c.that(is_head_width(R, kMaxHeadWidth), R_name, "a latent width R that is a multiple of 16, 16 to 512", R);
  c.that(is_head_width(width, kMaxLatentWidth) && width > R, width_name,
         "a width R + Dr that is a multiple of 16, more than R and at most 576", width);
}

inline void check_scores(Check& c, float scale, float softcap) {
  c.that(std::isfinite(scale), "scale", "a finite number", scale);
  c.that(softcap == 0 || (softcap > 0 && std::isfinite(softcap) && std::isfinite(scale / softcap)), "softcap",
         "0 or a positive number by which scale can be divided", softcap);
}

// A TREE MASK, [T, W] i32, hides keys from queries of the same call, the last keys of their sequence: bit
// j % 32 of word j / 32 of a query's row says whether it sees the key of query j of its sequence. It only
// hides: causal and window hold as ever. Keys before the queries, and those beyond the last bit, are seen as
// without it, so that prompts beside trees need no more words than the trees.

// A BLOCK MASK, [T, 1 | Hkv, W] i32, says which blocks of kBlockKeys keys a query attends to: bit b of word w
// of its row, for one KV head or for all, is that of the keys [kBlockKeys (32 w + b), + kBlockKeys), counted
// from the first key of the sequence. It only hides: causal, window and a tree mask hold as ever. Blocks
// beyond the last bit are hidden.
inline constexpr int kBlockKeys = 64;
inline constexpr int kWordKeys = 32 * kBlockKeys;

inline void check_block_mask(Check& c, const TensorView& mask, Sym& T, int64_t Hkv) {
  Sym heads{"1 or Hkv"}, words{"W"};
  c.optional("blockMask", mask).dtype(kI32).shape({T, heads, words}).rows();
  c.that(!mask || heads.value() == 1 || heads.value() == Hkv, "blockMask", "rows for 1 head or Hkv",
         heads.value());
  c.that(!mask || words.value() >= 1, "blockMask", "at least one word in a row", words.value());
}
/// The mask as the kernels read it: all heads have rows.
inline TensorView rows_of_heads(const TensorView& mask) {
  TensorView t = mask;
  if (t.sizes[1] == 1) t.strides[1] = 0;
  return t;
}

/// [S, Hkv, D] as pages of one token, [S, 1, Hkv, D].
inline TensorView as_pages(const TensorView& t) {
  TensorView pages = t;
  pages.rank = 4;
  for (int i = 3; i >= 2; i--) pages.sizes[i] = t.sizes[i - 1], pages.strides[i] = t.strides[i - 1];
  pages.sizes[1] = 1, pages.strides[1] = 0;
  return pages;
}
/// What all heads share, [P, Ps, D], as keys [P, Ps, 1, width]: all columns or the first ones.
inline TensorView latent_columns(const TensorView& latents, int64_t width) {
  TensorView t = latents;
  t.rank = 4;
  t.sizes[2] = 1, t.strides[2] = 0;
  t.sizes[3] = width, t.strides[3] = 1;
  return t;
}

}  // namespace warploop
