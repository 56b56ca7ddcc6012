// Hands out parts of a stream's workspace to the op that runs now. On a GPU they lie one behind the other;
// the emulated GPU of the tests ends each at memory that nobody can touch (simt/runtime/workspace_parts.h).
#pragma once
#include <algorithm>

#include "core/error.h"
#include "cuda/cuda_context.h"
#ifdef WARPLOOP_SIMT
#include "simt/runtime/workspace_parts.h"
#endif

namespace warploop::cuda {

class Workspace {
 public:
  /// What a part takes at most besides its bytes.
  static constexpr int64_t kAlign = 256;

  /// Begins at the front: what another one has handed out is for the kernels launched so far. `too_large`
  /// is what is said of a part that does not fit; a literal.
  explicit Workspace(const CudaContext& context,
                     const char* too_large = "the call does not fit into the workspace")
      : context_(context), too_large_(too_large), left_(context.workspace_bytes) {
#ifdef WARPLOOP_SIMT
    if (context.parts && !context.keeps_parts) context.parts->finish();
#endif
  }

  /// `count` elements, uninitialised. Nothing in them survives the op. Throws ExecutionError.
  template <class T>
  T* take(int64_t count) {
    const int64_t bytes = count * static_cast<int64_t>(sizeof(T));
    if (bytes > left_) fail_execution(too_large_);
    std::byte* part = context_.workspace + (context_.workspace_bytes - left_);
    left_ -= std::min((bytes + kAlign - 1) / kAlign * kAlign, left_);
#ifdef WARPLOOP_SIMT
    if (context_.parts) part = context_.parts->place(static_cast<size_t>(bytes), alignof(T));
#endif
    return reinterpret_cast<T*>(part);
  }
  int64_t left() const { return left_; }

 private:
  const CudaContext& context_;
  const char* too_large_;
  int64_t left_;
};

}  // namespace warploop::cuda
