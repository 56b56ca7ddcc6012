// device/mma.cuh. Expectations are index formulas and a triple loop; fragments: PTX ISA, "Matrix Fragments
// for mma.m16n8k16" and "ldmatrix".
#include "cuda/device/mma.cuh"

#include <cmath>

#include "atom.h"
#include "cuda/device/block.cuh"

namespace warploop::atoms {
namespace {

using namespace cuda;

// ------------------------------------------------------------------------------------------ ldmatrix

constexpr int kMatrices = 4,
              kRow = 24;  // a row of 8 elements every 24: rows are found through the addresses only
struct MatrixPlan {
  alignas(16) uint16_t values[kMatrices * 8 * kRow];
};
struct MatrixOut {
  uint32_t *x4, *x4_transposed, *x2, *x2_transposed;
};
/// Rows lie in the plan in reverse order.
__global__ void load_matrices(const uint16_t* in, MatrixOut out) {
  MatrixPlan& plan = shared_plan<MatrixPlan>();
  const int lane = lane_index();
  for (int i = lane; i < kMatrices * 8 * kRow; i += 32) plan.values[i] = in[i];
  sync_block();
  const uint32_t row = shared_address(&plan.values[(31 - lane) * kRow]);
  uint32_t four[4], two[2];
  load_matrix_x4(four, row);
  for (int i = 0; i < 4; i++) out.x4[4 * lane + i] = four[i];
  load_matrix_x4_transposed(four, row);
  for (int i = 0; i < 4; i++) out.x4_transposed[4 * lane + i] = four[i];
  load_matrix_x2(two, row);
  for (int i = 0; i < 2; i++) out.x2[2 * lane + i] = two[i];
  load_matrix_x2_transposed(two, row);
  for (int i = 0; i < 2; i++) out.x2_transposed[2 * lane + i] = two[i];
}
const Atom load_matrix_atom("load_matrix", 80, [](Run& run) {
  const auto in = table(kMatrices * 8 * kRow, [](size_t i) { return static_cast<uint16_t>(i); });
  const auto make = [&](size_t n) { return run.output<uint32_t>(32 * n); };
  const MatrixOut out{make(4), make(4), make(2), make(2)};
  launch<load_matrices>(run.context(), {dim3(1), 32, sizeof(MatrixPlan)},
                        static_cast<const uint16_t*>(run.upload(in)), out);
  const auto want = [&](size_t matrices, bool transposed) {
    return table(32 * matrices, [&](size_t at) {
      const size_t lane = at / matrices, matrix = at % matrices;
      const auto element = [&](size_t row, size_t column) {
        return in[(31 - (matrix * 8 + row)) * kRow + column];
      };
      const size_t g = lane / 4, t = lane % 4 * 2;
      const uint32_t low = transposed ? element(t, g) : element(g, t);
      const uint32_t high = transposed ? element(t + 1, g) : element(g, t + 1);
      return low | high << 16;
    });
  };
  run.expect("x4", out.x4, want(4, false));
  run.expect("x4_transposed", out.x4_transposed, want(4, true));
  run.expect("x2", out.x2, want(2, false));
  run.expect("x2_transposed", out.x2_transposed, want(2, true));
});

// ------------------------------------------------------------------------------------------ mma

/// in: a [32, 4], b [32, 2] registers; d [32, 4], in and out.
template <class T>
__global__ void multiply(const uint32_t* a, const uint32_t* b, float* d) {
  const int lane = lane_index();
  const uint32_t rows[4] = {a[4 * lane], a[4 * lane + 1], a[4 * lane + 2], a[4 * lane + 3]};
  float sums[4] = {d[4 * lane], d[4 * lane + 1], d[4 * lane + 2], d[4 * lane + 3]};
  mma_m16n8k16<T>(sums, rows, b[2 * lane], b[2 * lane + 1]);
  for (int i = 0; i < 4; i++) d[4 * lane + i] = sums[i];
}

/// Multiplies A [16, 16], B [16, 8] given by their values as 16 bits, adds C [16, 8].
template <class T, class A, class B, class C>
float* run_mma(Run& run, A a, B b, C c) {
  const auto pair = [](uint16_t low, uint16_t high) { return low | static_cast<uint32_t>(high) << 16; };
  std::vector<uint32_t> a_registers, b_registers;
  std::vector<float> d;
  for (int lane = 0; lane < 32; lane++) {
    const int g = lane / 4, t = lane % 4 * 2;
    for (int i = 0; i < 4; i++) {
      const int row = i % 2 ? g + 8 : g, column = i < 2 ? t : t + 8;
      a_registers.push_back(pair(a(row, column), a(row, column + 1)));
    }
    for (int i = 0; i < 2; i++) b_registers.push_back(pair(b(t + 8 * i, g), b(t + 8 * i + 1, g)));
    for (int i = 0; i < 4; i++) d.push_back(c(i < 2 ? g : g + 8, t + i % 2));
  }
  float* out = run.upload(d);
  launch<multiply<T>>(run.context(), {dim3(1), 32}, static_cast<const uint32_t*>(run.upload(a_registers)),
                      static_cast<const uint32_t*>(run.upload(b_registers)), out);
  return out;
}
/// want(row, column) in the order of run_mma's result.
template <class Want>
std::vector<float> fragments(Want want) {
  return table(128, [&](size_t at) {
    const int lane = static_cast<int>(at / 4), i = static_cast<int>(at % 4);
    return static_cast<float>(want(i < 2 ? lane / 4 : lane / 4 + 8, lane % 4 * 2 + i % 2));
  });
}

template <class T>
void check_mma(Run& run) {
  constexpr bool f16 = !std::is_same_v<T, bf16>;
  const auto a = [](int m, int k) {
    return static_cast<int>(pick(static_cast<uint32_t>(16 * m + k), 33)) - 16;
  };
  const auto b = [](int k, int n) {
    return static_cast<int>(pick(static_cast<uint32_t>(999 + 8 * k + n), 33)) - 16;
  };
  const auto c = [](int m, int n) {
    return static_cast<int>(pick(static_cast<uint32_t>(5000 + 8 * m + n), 2001)) - 1000;
  };
  float* out = run_mma<T>(
      run, [&](int m, int k) { return bits16(a(m, k), f16); },
      [&](int k, int n) { return bits16(b(k, n), f16); },
      [&](int m, int n) { return static_cast<float>(c(m, n)); });
  run.expect("whole_numbers", out, fragments([&](int m, int n) {
               int sum = c(m, n);
               for (int k = 0; k < 16; k++) sum += a(m, k) * b(k, n);
               return sum;
             }));
  // Products that need rounding: the sum of 16 products of numbers near 1 + i / 128 times 2^-k, and a small
  // one.
  const auto scale = [](int k) { return std::ldexp(1.0, -k); };
  out = run_mma<T>(
      run,
      [&](int m, int k) {
        return static_cast<uint16_t>(bits16(128 + (m * 7 + k * 5) % 128, f16) - (f16 ? 7 << 10 : 7 << 7));
      },
      [&](int k, int n) {
        return static_cast<uint16_t>(bits16(128 + (k * 11 + n * 3) % 128, f16) -
                                     ((f16 ? 1 << 10 : 1 << 7) * (7 + k % 4)));
      },
      [&](int, int) { return 1e-3f; });
  run.expect("rounded", out, fragments([&](int m, int n) {
               double sum = 1e-3f;
               for (int k = 0; k < 16; k++) {
                 sum += (128 + (m * 7 + k * 5) % 128) / 128.0 * ((128 + (k * 11 + n * 3) % 128) / 128.0) *
                        scale(k % 4);
               }
               return sum;
             }),
             1e-6);
}
const Atom mma_bf16_atom("mma_bf16", 80, check_mma<bf16>);
const Atom mma_f16_atom("mma_f16", 80, check_mma<f16>);

}  // namespace
}  // namespace warploop::atoms
