// WARPLOOP_KERNEL: which kernels somebody wants to see, by name, instead of those that the ops' tables give.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/op.h"

namespace warploop::cuda {

/// Names in a request for those kernels of an op that need a Hopper GPU, and for those that run on any.
inline constexpr std::string_view kHopperKernels = "hopper";
inline constexpr std::string_view kPortableKernels = "portable";

/// Makes a kernel of an op's table known, so that a wish for none of the table is refused at once. When the
/// program starts: KnownKernels of choose.h.
void make_known(OpId op, std::string_view kernel, bool hopper);

class KernelChoice {
 public:
  struct Wish {
    std::string_view kernel;  // empty: none
    bool required = false;    // of this op by its name: it runs no other
  };

  /// `text` is "op:kernel,op:kernel": of that op this kernel, or an error; "*:hopper" and "*:portable": of
  /// every op such kernels, where they can run. Spaces around names count for nothing. Empty: no wishes.
  /// Throws Error(device) for what is none.
  explicit KernelChoice(std::string_view text);

  Wish of(OpId op) const;

 private:
  struct Entry {
    std::string op, kernel;
  };
  std::vector<Entry> entries_;
};

}  // namespace warploop::cuda
