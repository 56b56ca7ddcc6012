// The conformance suite of native/cuda/device: every wrapper in a kernel of a few lines, its results compared
// with what plain C++ says. The same sources run on simt and on a GPU; see atoms.test.ts for both command
// lines.
//
// Expectations do not use the emulation: fragments, swizzles and layouts are written again from the documents
// cited beside them. What a GPU computed is kept in goldens/ and compared as well, so that an error that the
// wrapper, the emulation and this suite share does not stay unseen.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "cuda/launch.h"

namespace warploop::atoms {

/// One atom being checked.
class Run {
 public:
  explicit Run(const char* atom, const cuda::CudaContext& context) : atom_(atom), context_(context) {}
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  const cuda::CudaContext& context() const { return context_; }

  /// Device memory, freed with the Run. `output` starts as 0xff.
  template <class T>
  T* upload(const std::vector<T>& values) {
    return static_cast<T*>(copy_in(values.data(), values.size() * sizeof(T)));
  }
  template <class T>
  T* output(size_t count) {
    return upload(std::vector<T>(count, ones<T>()));
  }
  /// Waits for the kernels before.
  template <class T>
  std::vector<T> download(const T* p, size_t count) {
    std::vector<T> values(count);
    copy_out(values.data(), p, count * sizeof(T));
    return values;
  }

  /// Counts a check: `count` values at `device` are `want`, within tolerance * max(1, |want|); NaN is NaN.
  /// `what` tells the outputs of an atom apart. Values with tolerance 0 have one right answer.
  template <class T>
  void expect(const std::string& what, const T* device, const std::vector<T>& want, double tolerance = 0) {
    const std::vector<T> got = download(device, want.size());
    std::vector<double> a(got.begin(), got.end()), b(want.begin(), want.end());
    compare(what, a, b, tolerance);
  }

 private:
  template <class T>
  static T ones() {
    T value;
    std::fill_n(reinterpret_cast<unsigned char*>(&value), sizeof value, static_cast<unsigned char>(0xff));
    return value;
  }
  void* copy_in(const void* values, size_t bytes);
  void copy_out(void* values, const void* p, size_t bytes);
  void compare(const std::string& what, const std::vector<double>& got, const std::vector<double>& want,
               double tolerance);

  const char* atom_;
  const cuda::CudaContext& context_;
  std::vector<void*> memory_;
};

/// Registers a check under the name of the wrapper. `capability`: of the GPUs that have it.
struct Atom {
  Atom(const char* name, int capability, void (*run)(Run&));
};

/// Registers a kernel that waits for a barrier that never completes: what `atoms --stuck` runs.
struct StuckAtom {
  explicit StuckAtom(void (*run)(const cuda::CudaContext&));
};

/// A number in [0, limit) that depends on `i` alone.
constexpr uint32_t pick(uint32_t i, uint32_t limit) {
  uint32_t x = i * 0x9e3779b9u + 0x7f4a7c15u;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  return static_cast<uint32_t>((uint64_t{x ^ (x >> 16)} * limit) >> 32);
}
/// make(0), make(1), ...
template <class Make>
auto table(size_t count, Make make) {
  std::vector<std::decay_t<decltype(make(size_t{0}))>> values;
  values.reserve(count);
  for (size_t i = 0; i < count; i++) values.push_back(make(i));
  return values;
}

/// The bits of a small integer (|value| <= 256) as bf16 or f16, both exact.
inline uint16_t bits16(int value, bool f16) {
  if (value == 0) return 0;
  int magnitude = value < 0 ? -value : value, exponent = 0;
  while (magnitude >> (exponent + 1)) exponent++;
  const int sign = value < 0 ? 0x8000 : 0;
  const int mantissa_bits = f16 ? 10 : 7, bias = f16 ? 15 : 127;
  const int fraction = (magnitude - (1 << exponent)) << mantissa_bits >> exponent;
  return static_cast<uint16_t>(sign | (exponent + bias) << mantissa_bits | fraction);
}

}  // namespace warploop::atoms
