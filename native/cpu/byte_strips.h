// Products of bytes for many rows of x: kByteChunk inputs of two panels are unpacked into L1 and meet all
// rows.
#pragma once
#include "cpu/byte_tile.h"

namespace warploop::cpu::WARPLOOP_ISA {

/// Inputs [first, first + count) of one panel into its place in the strip, `num` panels side by side.
template <Codes codes>
void unpack_bytes(const CodeWeight& w, const uint8_t* panel, int64_t first, int64_t count, int n, int num,
                  ByteStrip& strip) {
  constexpr int64_t kAhead = kByteChunk * kPanel / (Quantised<codes>::kIsNibble ? 2 : 1);
  const int64_t pitch = num * 4 * kPanel;  // from four inputs to the next ones
  int8_t* out = strip.bytes + n * 4 * kPanel;
  const uint8_t* from = panel + w.at.codes + Quantised<codes>::code_at(0, first);
  if constexpr (!Quantised<codes>::kIsNibble) {
    for (int64_t k = 0; k < count; k += 4, out += pitch, from += 4 * kPanel) {
      __builtin_prefetch(from + kAhead, 0, 2);
      for (int v = 0; v < kPanelVectors; v++) {
        const vu bytes = signed_bytes<codes>(load_as<vu>(from + v * 4 * kLanes), vu{});
        std::memcpy(out + v * 4 * kLanes, &bytes, sizeof bytes);
      }
    }
  } else {
    vu low_zeros[kPanelVectors], high_zeros[kPanelVectors];
    for (int64_t k = first; k < first + count; k += 32, out += 8 * pitch) {
      if (codes == Codes::int4 && !kIsRaw<codes> &&
          (k == first || w.numbers.group % 32 != 0 || k % w.group() == 0)) {
        byte_zeros<codes>(w, panel, k, low_zeros);
        byte_zeros<codes>(w, panel, k + 16, high_zeros);
      }
#pragma GCC unroll 4
      for (int j = 0; j < 4; j++, from += 4 * kPanel) {
        __builtin_prefetch(from + kAhead, 0, 2);
        for (int v = 0; v < kPanelVectors; v++) {
          const vu word = load_as<vu>(from + v * 4 * kLanes);
          const vu low = signed_bytes<codes>(word & 0x0f0f0f0fu, low_zeros[v]);
          const vu high = signed_bytes<codes>(word >> 4 & 0x0f0f0f0fu, high_zeros[v]);
          std::memcpy(out + j * pitch + v * 4 * kLanes, &low, sizeof low);
          std::memcpy(out + (j + 4) * pitch + v * 4 * kLanes, &high, sizeof high);
        }
      }
    }
  }
}

/// Scales, minima and zero points of the integer sums of a chunk.
template <Codes codes>
void unpack_numbers(const CodeWeight& w, const uint8_t* panel, const Int8Shape& shape, int64_t first,
                    int64_t dots, int n, ByteStrip& strip) {
  const int64_t group = w.group();
  for (int64_t dot = 0; dot < dots; dot++) {
    const int64_t g = std::min((first + dot * shape.dot) / group, w.at.groups - 1);
    float* scales = strip.scales[dot] + n * kPanel;
    panel_scales(w, panel, g, scales);
    if (codes == Codes::fp4) {
      for (int i = 0; i < kPanel; i++) scales[i] *= 0.5f;
    }
    if (w.has_minima()) panel_minima(w, panel, g, strip.minima[dot] + n * kPanel);
    if (!has_sum_zeros<codes>(w)) continue;
    const PanelInts zeros = panel_zeros<codes>(w, panel, g);
    std::memcpy(strip.zeros[dot] + n * kPanel, &zeros, sizeof zeros);
  }
}

/// Rows times panels by way of strips, added to sums [count][panels * 16].
template <Codes codes>
void multiply_strips(const CodeWeight& w, const Int8Shape& shape, const Int8Row* rows, int64_t count,
                     int64_t first, int64_t panels, ByteStrip& strip, float* sums) {
  const int64_t stride = panels * kPanel;
  std::fill_n(sums, count * stride, 0.0f);
  for (int64_t panel = 0; panel < panels; panel += 2) {
    const int num = static_cast<int>(std::min<int64_t>(2, panels - panel));
    for (int64_t k = 0; k < w.inputs; k += kByteChunk) {
      const int64_t some = std::min(kByteChunk, Quantised<codes>::padded_inputs(w.inputs) - k);
      const int64_t dots = (some + shape.dot - 1) / shape.dot;
      for (int n = 0; n < num; n++) {
        unpack_bytes<codes>(w, w.panel(first + panel + n), k, some, n, num, strip);
        unpack_numbers<codes>(w, w.panel(first + panel + n), shape, k, dots, n, strip);
      }
      const ByteTile tile{&strip,
                          k / shape.dot,
                          dots,
                          (some - (dots - 1) * shape.dot) / 4,
                          w.has_minima(),
                          has_sum_zeros<codes>(w),
                          raw_offset<codes>(w)};
      float* to = sums + panel * kPanel;
      if (shape.dot == 16) multiply_strip<16, kPairSteps<codes>>(tile, num, rows, count, k, to, stride);
      if (shape.dot == 32) multiply_strip<32, kPairSteps<codes>>(tile, num, rows, count, k, to, stride);
      if (shape.dot == 128) multiply_strip<128, kPairSteps<codes>>(tile, num, rows, count, k, to, stride);
    }
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
