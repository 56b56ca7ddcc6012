// How many dot products the cores do when nothing else is to be done: independent chains of them, operands in registers. Of floats
// what bf16 weights and activations of the engine are multiplied with (AVX-512: vdpbf16ps; AVX2: vfmadd of f32, which bf16 is widened
// to), and of bytes (vpdpbusd; vpmaddubsw, vpmaddwd and vpaddd). Prints both rates of all threads together, GMAC/s.
//
//     g++ -O2 -std=c++20 -march=x86-64-v3 -pthread dotPeak.cc -o dotPeak && ./dotPeak THREADS MILLISECONDS
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr int kChains = 12, kTurns = 4096;

#ifdef __AVX512BF16__
struct Floats {
  static constexpr double kProducts = 32;
  __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));
  __m512 start = _mm512_setzero_ps();
  __m512 add(__m512 sum) const { return _mm512_dpbf16_ps(sum, x, x); }
};

struct Bytes {
  static constexpr double kProducts = 64;
  __m512i x = _mm512_set1_epi8(1);
  __m512i start = _mm512_setzero_si512();
  __m512i add(__m512i sum) const { return _mm512_dpbusd_epi32(sum, x, x); }
};
#else
struct Floats {
  static constexpr double kProducts = 8;
  __m256 x = _mm256_set1_ps(1);
  __m256 start = _mm256_setzero_ps();
  __m256 add(__m256 sum) const { return _mm256_fmadd_ps(x, x, sum); }
};

struct Bytes {
  static constexpr double kProducts = 32;
  __m256i x = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
  __m256i start = _mm256_setzero_si256();
  __m256i add(__m256i sum) const {
    __m256i y = x;
    asm volatile("" : "+v"(y));  // the same product in every chain would be computed once
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(y, x), ones));
  }
};
#endif

/// One dot product for each of `sums`, all in registers.
template <class Dots, class... Sums>
void turns(const Dots& dots, Sums... sums) {
  static_assert(sizeof...(Sums) == kChains);
  for (int turn = 0; turn < kTurns; turn++) {
    ((sums = dots.add(sums)), ...);
    (([&sums] { asm volatile("" : "+v"(sums)); }()), ...);
  }
}

/// Products a second of one thread.
template <class Dots>
double rate(double budget) {
  const Dots dots;
  const auto s = dots.start;
  double best = 1e30, spent = 0;
  while (spent < budget) {
    const auto begin = std::chrono::steady_clock::now();
    turns(dots, s, s, s, s, s, s, s, s, s, s, s, s);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    spent += seconds;
    best = std::min(best, seconds);
  }
  return Dots::kProducts * kChains * kTurns / best;
}

/// Of so many threads together, in GMAC/s.
template <class Dots>
double rate_of_threads(int count, double budget) {
  std::vector<double> rates(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (double& each : rates) threads.emplace_back([&each, budget] { each = rate<Dots>(budget); });
  for (auto& thread : threads) thread.join();
  double sum = 0;
  for (const double each : rates) sum += each;
  return sum / 1e9;
}

}  // namespace

int main(int, char** arguments) {
  const int threads = std::atoi(arguments[1]);
  const double seconds = std::atof(arguments[2]) / 1000;
  std::printf("%.1f %.1f\n", rate_of_threads<Floats>(threads, seconds), rate_of_threads<Bytes>(threads, seconds));
}
