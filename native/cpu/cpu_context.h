// What a CPU kernel gets besides its Params: the thread pool and a private workspace per thread.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

#include "cpu/thread_pool.h"
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace warploop::cpu {

/// Bytes of scratch that each thread owns. Kernels tile so that their packed operands fit.
inline constexpr size_t kWorkspaceBytes = 4u << 20;
#ifdef __SANITIZE_ADDRESS__
inline constexpr size_t kWorkspaceGap = 4096;  // behind each thread's scratch; nobody may touch it
#else
inline constexpr size_t kWorkspaceGap = 0;
#endif

class CpuContext {
 public:
  static size_t workspace_bytes(int threads) { return threads * (kWorkspaceBytes + kWorkspaceGap); }

  /// `workspaces`: workspace_bytes of the pool's threads.
  CpuContext(ThreadPool& pool, std::byte* workspaces) : pool_(pool), workspaces_(workspaces) {
#ifdef __SANITIZE_ADDRESS__
    for (int thread = 0; thread < pool.threads(); thread++)
      __asan_poison_memory_region(workspace<std::byte>(thread) + kWorkspaceBytes, kWorkspaceGap);
#endif
  }
  ThreadPool& pool() const { return pool_; }

  /// Scratch of `thread`, 64-byte aligned. Contents do not survive the kernel.
  template <class T>
  T* workspace(int thread) const {
    return reinterpret_cast<T*>(workspaces_ + thread * (kWorkspaceBytes + kWorkspaceGap));
  }

 private:
  ThreadPool& pool_;
  std::byte* workspaces_;
};

}  // namespace warploop::cpu
