// What a CPU kernel gets besides its Params: the thread pool and a private workspace per thread.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "cpu/thread_pool.h"

namespace warploop::cpu {

/// Bytes of scratch that each thread owns. Kernels tile so that their packed operands fit.
inline constexpr size_t kWorkspaceBytes = 4u << 20;

class CpuContext {
 public:
  CpuContext(ThreadPool& pool, std::byte* workspaces) : pool_(pool), workspaces_(workspaces) {}
  ThreadPool& pool() const { return pool_; }

  /// Scratch of `thread`, 64-byte aligned. Contents do not survive the kernel.
  template <class T>
  T* workspace(int thread) const {
    return reinterpret_cast<T*>(workspaces_ + thread * kWorkspaceBytes);
  }

 private:
  ThreadPool& pool_;
  std::byte* workspaces_;
};

}  // namespace warploop::cpu
