// How many bf16 dot products the cores do when nothing else is to be done: independent chains of vdpbf16ps,
// operands in registers. Prints GFLOP/s of all threads together, a multiply-add counted as two.
//
//     g++ -O2 -std=c++20 -mavx512f -mavx512bf16 -pthread dotPeak.cc -o dotPeak && ./dotPeak THREADS MILLISECONDS
#include <immintrin.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

namespace {

constexpr int kChains = 12, kTurns = 4096;
constexpr double kFlopsPerDot = 2.0 * 32;  // 16 sums of two products

/// One dot product for each of `sums`, all in registers.
template <class... Sums>
void turns(__m512bh x, Sums... sums) {
  for (int turn = 0; turn < kTurns; turn++) {
    ((sums = _mm512_dpbf16_ps(sums, x, x)), ...);
    (([&sums] { asm volatile("" : "+v"(sums)); }()), ...);
  }
}

double least_seconds(double budget) {
  const __m512 zero = _mm512_setzero_ps();
  const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80));
  double best = 1e30, spent = 0;
  while (spent < budget) {
    const auto begin = std::chrono::steady_clock::now();
    turns(x, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero, zero);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    spent += seconds;
    best = std::min(best, seconds);
  }
  return best;
}

}  // namespace

int main(int, char** arguments) {
  const int count = std::atoi(arguments[1]);
  const double seconds = std::atof(arguments[2]) / 1000;
  std::vector<double> rates(static_cast<size_t>(count));
  std::vector<std::thread> threads;
  for (double& rate : rates)
    threads.emplace_back(
        [&rate, seconds] { rate = kFlopsPerDot * kChains * kTurns / least_seconds(seconds); });
  for (auto& thread : threads) thread.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  std::printf("%.1f\n", sum / 1e9);
}
