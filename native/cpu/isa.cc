#include "cpu/isa.h"

#include <cstdlib>
#include <cstring>

namespace warploop::cpu {

#if defined(__x86_64__)
namespace avx512 {
const OpTable& ops();
}
namespace x86_64_v3 {
const OpTable& ops();
}

namespace {

bool has_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
         __builtin_cpu_supports("bmi2");
}

bool has_avx512() {
  return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bf16");
}

}  // namespace

const std::vector<Isa>& compiled_isas() {
  static const std::vector<Isa> isas = {{"avx512", has_avx512, avx512::ops},
                                        {"x86_64_v3", has_v3, x86_64_v3::ops}};
  return isas;
}
#elif defined(__aarch64__)
namespace neon {
const OpTable& ops();
}

const std::vector<Isa>& compiled_isas() {
  static const std::vector<Isa> isas = {{"neon", [] { return true; }, neon::ops}};
  return isas;
}
#endif

const Isa* choose_isa() {
  const char* forced = std::getenv("WARPLOOP_ISA");
  for (const Isa& isa : compiled_isas()) {
    if (forced && *forced && std::strcmp(forced, isa.name) != 0) continue;
    if (isa.supported()) return &isa;
  }
  return nullptr;
}

}  // namespace warploop::cpu
