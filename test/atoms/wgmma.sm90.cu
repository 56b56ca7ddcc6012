// device/wgmma.cuh. A [64, 32] B [32, N] in two steps of 16, with every layout of the operands, against a
// triple loop. Layouts in shared memory: PTX ISA, "Shared Memory Matrix Layout" and "Strides" of wgmma; the
// canonical layouts of CUTLASS (include/cute/atom/mma_traits_sm90_gmma.hpp). Fragments: PTX ISA, "Register
// Fragments for wgmma.mma_async.m64nNk16".
#include "cuda/device/wgmma.cuh"

#include <algorithm>
#include <cmath>

#include "atom.h"
#include "cuda/device/block.cuh"
#include "cuda/device/mbarrier.cuh"

namespace warploop::atoms {
namespace {

using namespace cuda;

constexpr int kM = 64, kK = 32, kThreads = 128, kImageBytes = 96 << 10;

// ------------------------------------------------------------------------------------------ layouts

/// How one operand lies in shared memory. Rows are m or n.
struct Layout {
  Swizzle swizzle;
  bool mn_major;
  bool spread;  // not the tightest strides
  int rows;

  uint32_t row_bytes() const { return swizzle_row_bytes(swizzle); }
  /// Between groups of 8: of rows (K-major, and both without swizzle), of k (MN-major).
  uint32_t sbo() const {
    if (swizzle == Swizzle::none) return spread ? kK / 8 * 128 : 128;
    const uint32_t runs = (static_cast<uint32_t>(rows) * 2 + row_bytes() - 1) / row_bytes();
    if (mn_major) return spread ? runs * 8 * row_bytes() : 8 * row_bytes();
    return (spread ? 2 : 1) * 8 * row_bytes();
  }
  uint32_t lbo() const {
    if (swizzle == Swizzle::none) return spread ? 128 : static_cast<uint32_t>(rows + 7) / 8 * 128;
    if (mn_major) return spread ? 8 * row_bytes() : kK * row_bytes();
    return 16;  // not used
  }
  /// K-major with swizzle: from one run of row_bytes of k to the next.
  uint32_t next_run() const { return static_cast<uint32_t>(rows + 7) / 8 * sbo(); }
  /// From k to k + 16.
  uint32_t step() const {
    if (swizzle == Swizzle::none) return 2 * lbo();
    if (mn_major) return 2 * sbo();
    return row_bytes() >= 64 ? 32 : next_run();
  }

  uint32_t place(uint32_t row, uint32_t k) const {
    if (swizzle == Swizzle::none) {
      const uint32_t in_core = mn_major ? k % 8 * 16 + row % 8 * 2 : row % 8 * 16 + k % 8 * 2;
      return in_core + row / 8 * sbo() + k / 8 * lbo();
    }
    const uint32_t values = row_bytes() / 2, pieces = row_bytes() / 16;
    uint32_t byte;
    if (mn_major) {
      byte = row % values * 2 + row / values * lbo() + k % 8 * row_bytes() + k / 8 * sbo();
    } else {
      byte = k % values * 2 + k / values * next_run() + row % 8 * row_bytes() + row / 8 * sbo();
    }
    // As in tma.sm90.cu: line l of 128 bytes has piece p at place p ^ (l mod pieces).
    const uint32_t piece = byte / 16 % pieces;
    return (byte / 16 - piece + (piece ^ byte / 128 % pieces)) * 16 + byte % 16;
  }
  uint32_t bytes() const {
    uint32_t last = 0;
    for (int row = 0; row < rows; row++) {
      for (int k = 0; k < kK; k++)
        last = std::max(last, place(static_cast<uint32_t>(row), static_cast<uint32_t>(k)));
    }
    return (last + 1024) / 1024 * 1024;
  }
  std::string name() const { return concat(mn_major ? "mn" : "k", row_bytes(), spread ? "s" : ""); }
};

std::vector<Layout> layouts(int rows) {
  std::vector<Layout> all;
  for (const Swizzle swizzle : {Swizzle::none, Swizzle::b128, Swizzle::b64, Swizzle::b32}) {
    for (const bool mn_major : {false, true}) {
      for (const bool spread : {false, true}) all.push_back({swizzle, mn_major, spread, rows});
    }
  }
  return all;
}

// ------------------------------------------------------------------------------------------ kernel

struct Operand {
  uint32_t at, lbo, sbo, step;
  Swizzle swizzle;
};
struct Task {
  const uint4* image;           // of the tiles in shared memory
  const uint32_t* a_registers;  // [2, 128, 4]
  float* d;                     // [128, N / 2], in and out
  uint32_t image_bytes;
  Operand a, b;
  bool accumulate;
};
struct TilesPlan {
  alignas(1024) unsigned char tiles[kImageBytes];
};
WARPLOOP_DEVICE uint64_t descriptor_of(const Operand& operand, const unsigned char* tiles, int step) {
  return matrix_descriptor(shared_address(tiles) + operand.at + static_cast<uint32_t>(step) * operand.step,
                           operand.lbo, operand.sbo, operand.swizzle);
}
template <class T, int kN, bool kTransA, bool kTransB, bool kFromRegisters>
__global__ void __launch_bounds__(kThreads) product(const __grid_constant__ Task task) {
  TilesPlan& plan = shared_plan<TilesPlan>();
  const int thread = static_cast<int>(threadIdx.x);
  for (uint32_t i = threadIdx.x * 16; i < task.image_bytes; i += kThreads * 16) {
    store_16(plan.tiles + i, load_16(reinterpret_cast<const unsigned char*>(task.image) + i));
  }
  fence_async_shared();
  sync_block();
  float d[kN / 2];
#pragma unroll
  for (int i = 0; i < kN / 2; i++) d[i] = task.d[thread * (kN / 2) + i];
  register_fence(d);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 2; step++) {
    const uint64_t b = descriptor_of(task.b, plan.tiles, step);
    if constexpr (kFromRegisters) {
      uint32_t a[4];
#pragma unroll
      for (int i = 0; i < 4; i++) a[i] = task.a_registers[(step * kThreads + thread) * 4 + i];
      wgmma_fence();
      wgmma_registers<T, kN, kTransB>(d, a, b, task.accumulate || step > 0);
      wgmma_commit();
      wgmma_wait<0>();
    } else {
      wgmma<T, kN, kTransA, kTransB>(d, descriptor_of(task.a, plan.tiles, step), b,
                                     task.accumulate || step > 0);
    }
  }
  wgmma_commit();
  wgmma_wait<0>();
  register_fence(d);
#pragma unroll
  for (int i = 0; i < kN / 2; i++) task.d[thread * (kN / 2) + i] = d[i];
}

// ------------------------------------------------------------------------------------------ data

int a_value(int m, int k) { return static_cast<int>(pick(static_cast<uint32_t>(kK * m + k), 17)) - 8; }
int b_value(int k, int n) {
  return static_cast<int>(pick(static_cast<uint32_t>(70000 + 256 * k + n), 17)) - 8;
}
int c_value(int m, int n) {
  return static_cast<int>(pick(static_cast<uint32_t>(90000 + 256 * m + n), 201)) - 100;
}

/// value(row, column) in the order of the accumulators: [128, n / 2].
template <class Value>
std::vector<float> fragments(int n, Value value) {
  return table(static_cast<size_t>(kM * n), [&](size_t at) {
    const int thread = static_cast<int>(at) / (n / 2), i = static_cast<int>(at) % (n / 2), lane = thread % 32;
    return static_cast<float>(
        value(thread / 32 * 16 + lane / 4 + i / 2 % 2 * 8, i / 4 * 8 + lane % 4 * 2 + i % 2));
  });
}

/// value(row, k) as 16 bits at its places of `image`.
template <class Value>
void put(std::vector<unsigned char>& image, uint32_t at, const Layout& layout, Value value) {
  for (int row = 0; row < layout.rows; row++) {
    for (int k = 0; k < kK; k++) {
      const uint16_t bits = value(row, k);
      const uint32_t place = at + layout.place(static_cast<uint32_t>(row), static_cast<uint32_t>(k));
      image[place] = static_cast<unsigned char>(bits);
      image[place + 1] = static_cast<unsigned char>(bits >> 8);
    }
  }
}

Operand operand_of(const Layout& layout, uint32_t at) {
  return {at, layout.lbo(), layout.sbo(), layout.step(), layout.swizzle};
}

/// Runs D = A B (+ C) and checks it.
template <class T, int kN, bool kTransA, bool kTransB, bool kFromRegisters>
void check_product(Run& run, const std::string& what, const Layout& a, const Layout& b, bool accumulate) {
  constexpr bool f16 = std::is_same_v<T, cuda::f16>;
  const uint32_t b_at = kFromRegisters ? 0 : a.bytes(), image_bytes = b_at + b.bytes();
  std::vector<unsigned char> image(image_bytes, 0x55);  // 0x5555 as bf16: 1.5e13
  if (!kFromRegisters) put(image, 0, a, [&](int m, int k) { return bits16(a_value(m, k), f16); });
  put(image, b_at, b, [&](int n, int k) { return bits16(b_value(k, n), f16); });
  const auto registers = table(2 * kThreads * 4, [&](size_t at) {
    const int i = static_cast<int>(at % 4), thread = static_cast<int>(at / 4) % kThreads, lane = thread % 32;
    const int m = thread / 32 * 16 + lane / 4 + i % 2 * 8;
    const int k = static_cast<int>(at) / (4 * kThreads) * 16 + lane % 4 * 2 + i / 2 * 8;
    return bits16(a_value(m, k), f16) | static_cast<uint32_t>(bits16(a_value(m, k + 1), f16)) << 16;
  });
  float* d = run.upload(fragments(kN, c_value));
  const Task task{reinterpret_cast<const uint4*>(run.upload(image)),
                  run.upload(registers),
                  d,
                  image_bytes,
                  operand_of(a, 0),
                  operand_of(b, b_at),
                  accumulate};
  launch<product<T, kN, kTransA, kTransB, kFromRegisters>>(run.context(),
                                                           {dim3(1), kThreads, sizeof(TilesPlan)}, task);
  run.expect(what, d, fragments(kN, [&](int m, int n) {
               int sum = accumulate ? c_value(m, n) : 0;
               for (int k = 0; k < kK; k++) sum += a_value(m, k) * b_value(k, n);
               return sum;
             }));
}

// ------------------------------------------------------------------------------------------ every layout

template <class T, bool kFromRegisters>
void check_layouts(Run& run) {
  constexpr int kN = 64;
  const auto all = layouts(64);
  for (size_t i = 0; i < all.size(); i++) {
    for (const size_t j : {i, (i + 5) % all.size(), (i + 10) % all.size()}) {
      const Layout &a = all[i], &b = all[j];
      const bool accumulate = (i + j) % 2 == 0;
      const std::string what =
          kFromRegisters ? concat("b_", b.name()) : concat("a_", a.name(), "_b_", b.name());
      if constexpr (kFromRegisters) {
        if (j != i) break;
        if (b.mn_major) {
          check_product<T, kN, false, true, true>(run, what, a, b, accumulate);
        } else {
          check_product<T, kN, false, false, true>(run, what, a, b, accumulate);
        }
      } else if (a.mn_major) {
        if (b.mn_major) {
          check_product<T, kN, true, true, false>(run, what, a, b, accumulate);
        } else {
          check_product<T, kN, true, false, false>(run, what, a, b, accumulate);
        }
      } else if (b.mn_major) {
        check_product<T, kN, false, true, false>(run, what, a, b, accumulate);
      } else {
        check_product<T, kN, false, false, false>(run, what, a, b, accumulate);
      }
    }
  }
}
const Atom bf16_layouts_atom("wgmma_bf16", 90, check_layouts<bf16, false>);
const Atom f16_layouts_atom("wgmma_f16", 90, check_layouts<f16, false>);
const Atom bf16_registers_atom("wgmma_registers_bf16", 90, check_layouts<bf16, true>);
const Atom f16_registers_atom("wgmma_registers_f16", 90, check_layouts<f16, true>);

// ------------------------------------------------------------------------------------------ every N

template <int kN>
void check_n(Run& run) {
  const Layout a{Swizzle::b128, false, false, kM}, b{Swizzle::b128, false, false, kN};
  check_product<bf16, kN, false, false, false>(run, concat("n", kN), a, b, kN % 16 == 0);
  // Along n, whole runs of the swizzle.
  const Swizzle swizzle = kN % 64 == 0   ? Swizzle::b128
                          : kN % 32 == 0 ? Swizzle::b64
                          : kN % 16 == 0 ? Swizzle::b32
                                         : Swizzle::none;
  check_product<bf16, kN, false, true, true>(run, concat("registers_n", kN), a, {swizzle, true, false, kN},
                                             kN % 16 != 0);
}
template <int... kEighths>
void check_all_n(Run& run, std::integer_sequence<int, kEighths...>) {
  (check_n<8 * (kEighths + 1)>(run), ...);
}
const Atom all_n_atom("wgmma", 90, [](Run& run) { check_all_n(run, std::make_integer_sequence<int, 32>{}); });

// ------------------------------------------------------------------------------------------ groups under way

constexpr int kRounds = 3;
/// Two accumulators; the older group is used while the younger is under way.
__global__ void __launch_bounds__(kThreads) groups(const __grid_constant__ Task task) {
  TilesPlan& plan = shared_plan<TilesPlan>();
  const int thread = static_cast<int>(threadIdx.x);
  for (uint32_t i = threadIdx.x * 16; i < task.image_bytes; i += kThreads * 16) {
    store_16(plan.tiles + i, load_16(reinterpret_cast<const unsigned char*>(task.image) + i));
  }
  fence_async_shared();
  sync_block();
  float even[32], odd[32], total[32] = {};
  const auto issue = [&](float(&d)[32]) {
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < 2; step++) {
      wgmma<bf16, 64, false, false>(d, descriptor_of(task.a, plan.tiles, step),
                                    descriptor_of(task.b, plan.tiles, step), step > 0);
    }
    wgmma_commit();
  };
  const auto use = [&](float(&d)[32], float factor) {
    register_fence(d);
#pragma unroll
    for (int i = 0; i < 32; i++) total[i] += factor * d[i];
  };
  issue(even);
#pragma unroll
  for (int round = 0; round < kRounds; round++) {
    issue(odd);
    wgmma_wait<1>();
    use(even, 1.0f);
    issue(even);
    wgmma_wait<1>();
    use(odd, 16.0f);
  }
  wgmma_wait<0>();
  use(even, 256.0f);
#pragma unroll
  for (int i = 0; i < 32; i++) task.d[thread * 32 + i] = total[i];
}
const Atom groups_atom("wgmma_wait", 90, [](Run& run) {
  const Layout layout{Swizzle::b128, false, false, 64};
  std::vector<unsigned char> image(2 * layout.bytes());
  put(image, 0, layout, [](int m, int k) { return bits16(a_value(m, k), false); });
  put(image, layout.bytes(), layout, [](int n, int k) { return bits16(b_value(k, n), false); });
  float* d = run.output<float>(kM * 64);
  const Task task{reinterpret_cast<const uint4*>(run.upload(image)),
                  nullptr,
                  d,
                  static_cast<uint32_t>(image.size()),
                  operand_of(layout, 0),
                  operand_of(layout, layout.bytes()),
                  false};
  launch<groups>(run.context(), {dim3(1), kThreads, sizeof(TilesPlan)}, task);
  run.expect("two_groups", d, fragments(64, [](int m, int n) {
               int sum = 0;
               for (int k = 0; k < kK; k++) sum += a_value(m, k) * b_value(k, n);
               return sum * (kRounds * 17 + 256);
             }));
});

// ------------------------------------------------------------------------------------------ rounding

const Atom rounded_atom("wgmma_rounded", 90, [](Run& run) {
  const Layout layout{Swizzle::b128, false, false, 64};
  const auto a = [](int m, int k) { return (128 + (m * 7 + k * 5) % 128) / 128.0; };
  const auto b = [](int k, int n) {
    return (128 + (k * 11 + n * 3) % 128) / 128.0 * std::ldexp(1, -(k % 4));
  };
  std::vector<unsigned char> image(2 * layout.bytes());
  put(image, 0, layout, [&](int m, int k) {
    return static_cast<uint16_t>(bits16(128 + (m * 7 + k * 5) % 128, false) - (7 << 7));
  });
  put(image, layout.bytes(), layout, [&](int n, int k) {
    return static_cast<uint16_t>(bits16(128 + (k * 11 + n * 3) % 128, false) - ((7 + k % 4) << 7));
  });
  float* d = run.upload(fragments(64, [](int, int) { return 1e-3f; }));
  const Task task{reinterpret_cast<const uint4*>(run.upload(image)),
                  nullptr,
                  d,
                  static_cast<uint32_t>(image.size()),
                  operand_of(layout, 0),
                  operand_of(layout, layout.bytes()),
                  true};
  launch<product<bf16, 64, false, false, false>>(run.context(), {dim3(1), kThreads, sizeof(TilesPlan)}, task);
  run.expect("rounded", d,
             fragments(64,
                       [&](int m, int n) {
                         double sum = 1e-3f;
                         for (int k = 0; k < kK; k++) sum += a(m, k) * b(k, n);
                         return sum;
                       }),
             5e-6);
});

}  // namespace
}  // namespace warploop::atoms
