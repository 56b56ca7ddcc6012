// Products with activations of bytes (cpu/int8_gemm.h), of random weights in every format that has them: prints a hash of
// the bits of each result. Every instruction set must print the same lines (scripts/build/isaBits.mjs compiles and runs
// this for each).
#include <cinttypes>
#include <cstdio>
#include <vector>

#include "cpu/int8_gemm.h"

namespace warploop::cpu::WARPLOOP_ISA {

constexpr int64_t kPanels = 3;  // two that are read together, and one alone

/// SplitMix64.
struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  float uniform() { return static_cast<float>(next() >> 40) * 0x1p-23f - 1.0f; }
};

/// FNV-1a.
struct Hash {
  uint64_t value = 0xcbf29ce484222325u;
  template <class T>
  void add(T what) {
    unsigned char bytes[sizeof what];
    std::memcpy(bytes, &what, sizeof what);
    for (unsigned char byte : bytes) value = (value ^ byte) * 0x100000001b3u;
  }
  /// Which NaN it is says nothing.
  void add_float(float what) { add(what == what ? what : 12345.0f); }
};

/// Elements of a plane of `type` that are usual numbers.
void put_scales(uint8_t* plane, int64_t count, ScaleType type, Random& random) {
  for (int64_t i = 0; i < count; i++) {
    const float scale = random.uniform() * 0.05f;
    if (type == ScaleType::f32) put(reinterpret_cast<float*>(plane) + i, scale);
    if (type == ScaleType::bf16) put(reinterpret_cast<bf16_t*>(plane) + i, scale);
    if (type == ScaleType::e8m0) plane[i] = static_cast<uint8_t>(110 + random.next() % 20);
    if (type == ScaleType::f16 || has_two_levels(type)) put(reinterpret_cast<f16_t*>(plane) + i, scale);
  }
}

/// Panels whose codes are random bytes, and whose scales and offsets are what their types may hold.
template <class Format>
std::vector<uint8_t> random_panels(const WeightView& weight, Random& random) {
  const PanelLayout at = Format::layout(weight.inputs, weight.numbers);
  std::vector<uint8_t> panels(static_cast<size_t>(at.bytes * kPanels) + 64);
  for (auto& byte : panels) byte = static_cast<uint8_t>(random.next());
  const auto [group, scale, offset, activation] = weight.numbers;
  for (int64_t p = 0; p < kPanels; p++) {
    uint8_t* panel = panels.data() + p * at.bytes;
    const int64_t inner = at.groups * kPanel, outer = at.outer_groups * kPanel;
    put_scales(panel, has_two_levels(scale) ? outer : inner, scale, random);
    uint8_t* offsets = panel + at.offsets;
    if (offset == OffsetType::min) put_scales(offsets, inner, ScaleType::f16, random);
    if (offset == OffsetType::f16u8) put_scales(offsets, outer, ScaleType::f16, random);
    if (offset != OffsetType::zero || !Format::kIsNibble) continue;
    for (int64_t i = 0; i < inner; i++) offsets[i] &= 15;
  }
  return panels;
}

template <class Format>
void run(const WeightView& weight, Random& random) {
  static ByteScratch scratch;
  const std::vector<uint8_t> panels = random_panels<Format>(weight, random);
  const CodeWeight w{panels.data(), Format::layout(weight.inputs, weight.numbers), weight.numbers,
                     weight.inputs};
  const Int8Shape shape = int8_shape(weight);
  for (int64_t count : {1, 2, 3, 4, 5, 17}) {
    std::vector<std::byte> quantised(static_cast<size_t>(count * shape.row_bytes() + 64));
    Hash codes, result;
    for (int64_t r = 0; r < count; r++) {
      std::vector<float> x(static_cast<size_t>(weight.inputs));
      const float size = r == 2 ? 1e-30f : r == 4 ? 0.0f : 1.0f;  // too small to matter, and zeros
      for (float& v : x) v = random.uniform() * (random.next() % 50 == 0 ? 100.0f : 1.0f) * size;
      if (r == 3) x[x.size() / 2] = kInf;  // its results are NaN
      const Int8Row row(quantised.data() + r * shape.row_bytes(), shape);
      quantise_int8<float>(x.data(), shape, row);
      codes.add_float(*row.scale);
      for (int64_t k = 0; k < shape.padded(); k++) codes.add(row.codes[k]);
      for (int64_t i = 0; i < shape.dots(); i++) {
        codes.add_float(row.numbers[i].factor);
        codes.add_float(row.numbers[i].weighted);
        codes.add(row.numbers[i].sum);
      }
    }
    multiply_piece<Format::kCodes>(w, shape, quantised.data(), count, 0, kPanels, scratch);
    for (int64_t i = 0; i < count * kPanels * kPanel; i++) result.add_float(scratch.sums[i]);
    std::printf("%s group %" PRId64 " scale %d offset %d, %" PRId64 " inputs, %" PRId64 " rows: %016" PRIx64
                " %016" PRIx64 "\n",
                name_of(weight.format), weight.numbers.group, static_cast<int>(weight.numbers.scale),
                static_cast<int>(weight.numbers.offset), weight.inputs, count, codes.value, result.value);
  }
}

template <class Format>
void run_format(WeightFormat format, Random& random) {
  for (int64_t group : {0, 16, 32, 64, 128, 256}) {
    for (int scale = 0; scale < kScaleTypeCount; scale++) {
      for (int offset = 0; offset < kOffsetTypeCount; offset++) {
        const FormatNumbers numbers{group, static_cast<ScaleType>(scale), static_cast<OffsetType>(offset),
                                    Activation::int8};
        if (!takes(format, numbers)) continue;
        for (int64_t inputs : {256, 768, 1280}) {
          WeightView weight{};
          weight.format = format;
          weight.numbers = numbers;
          weight.inputs = inputs;
          run<Format>(weight, random);
        }
      }
    }
  }
}

void run_all() {
  Random random{7};
  run_format<Int8>(WeightFormat::int8, random);
  run_format<Int4>(WeightFormat::int4, random);
  run_format<Fp4>(WeightFormat::fp4, random);
}

}  // namespace warploop::cpu::WARPLOOP_ISA

int main() { warploop::cpu::WARPLOOP_ISA::run_all(); }
