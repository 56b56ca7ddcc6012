// The one source of chance of a launch: the same seed gives the same run.
#pragma once
#include <cstdint>

namespace warploop::simt {

/// xorshift64* (Marsaglia, "Xorshift RNGs", J. Stat. Soft. 8(14), 2003; Vigna, arXiv:1402.6246).
class Random {
 public:
  explicit Random(uint64_t seed = 1) { reseed(seed); }

  void reseed(uint64_t seed) {
    state_ = seed * 0x9e3779b97f4a7c15u;  // neighbouring seeds give unlike states
    state_ ^= state_ >> 32;
    if (state_ == 0) state_ = 1;
    for (int i = 0; i < 4; i++) next();
  }
  /// 32 random bits.
  uint32_t next() {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return static_cast<uint32_t>((state_ * 0x2545f4914f6cdd1du) >> 32);
  }
  /// An integer in [0, limit).
  uint32_t below(uint32_t limit) { return static_cast<uint32_t>((uint64_t{next()} * limit) >> 32); }

 private:
  uint64_t state_;
};

}  // namespace warploop::simt
