// The emulator's door: kernels become known here, and grids run here. native/simt/runtime calls it for the
// CUDA runtime.
#pragma once
#include <vector_types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace warploop::simt {

struct Kernel {
  const char* name;
  int blocks;  // of a multiprocessor, that share its registers and its shared memory
  /// Copies what cudaLaunchKernelExC gets: one pointer per argument.
  std::shared_ptr<void> (*copy_arguments)(void** arguments);
  /// Runs the kernel's body for one thread.
  void (*call)(void* copied);
};

struct Launch {
  const Kernel* kernel;
  dim3 grid, block, cluster;  // cluster: {1, 1, 1} without
  size_t shared_bytes;
  std::shared_ptr<void> arguments;
  uint64_t last_clusters = 0;  // run only so many, the last ones; 0: all
  bool programmatic = false;   // it may start before those before it have ended: its threads have to wait
};

/// Runs the whole grid in the calling OS thread. Throws Error(execution) for a mistake of the kernel; what it
/// has written to global memory until then stays. Not to be called from a kernel.
void run(const Launch& launch);

/// Null: never registered.
const Kernel* find_kernel(const void* function);
void add_kernel(const void* function, const Kernel& kernel);

/// What has been emulated so far in this process, for tests.
struct Counters {
  uint64_t launches = 0, blocks = 0, switches = 0;
  uint64_t rendezvous = 0;       // of warps
  uint64_t matrix_products = 0;  // of warps, m16n8k16
  uint64_t matrix_loads = 0;     // 8x8 matrices of ldmatrix: each takes one access of shared memory ...
  uint64_t bank_conflicts = 0;   // ... and so many more
};
Counters total_counters();

namespace detail {

template <class Function>
struct Signature;
template <class... Parameters>
struct Signature<void (*)(Parameters...)> {
  using Arguments = std::tuple<Parameters...>;

  static std::shared_ptr<void> copy(void** arguments) {
    return [&]<size_t... i>(std::index_sequence<i...>) {
      return std::make_shared<Arguments>(*static_cast<Parameters*>(arguments[i])...);
    }
    (std::index_sequence_for<Parameters...>{});
  }
};

template <auto kernel>
std::string kernel_name() {
  std::string_view name =
      __PRETTY_FUNCTION__;  // "... [with auto kernel = NAME; ...]" or "... [kernel = &NAME]"
  name.remove_prefix(name.find("kernel = ") + 9);
  name = name.substr(0, name.find("; std::"));
  if (name.ends_with(']')) name.remove_suffix(1);
  std::string text(name);
  for (const char* noise :
       {"&", "warploop::cuda::", "warploop::", "{anonymous}::", "(anonymous namespace)::"}) {
    const std::string_view part(noise);
    for (size_t at; (at = text.find(part)) != std::string::npos;) text.erase(at, part.size());
  }
  return text;
}

}  // namespace detail

/// Makes `kernel` known to find_kernel. Costs little when it is known.
template <auto kernel>
void register_kernel(int blocks = 1) {
  using Signature = detail::Signature<decltype(kernel)>;
  static const bool known = [blocks] {
    static const std::string name = detail::kernel_name<kernel>();
    add_kernel(reinterpret_cast<const void*>(kernel),
               {name.c_str(), blocks, Signature::copy, [](void* copied) {
                  std::apply(kernel, *static_cast<typename Signature::Arguments*>(copied));
                }});
    return true;
  }();
  static_cast<void>(known);
}

}  // namespace warploop::simt
