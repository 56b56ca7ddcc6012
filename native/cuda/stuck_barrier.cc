#include "cuda/stuck_barrier.h"

#ifdef WARPLOOP_TRAP
#include <cuda_runtime_api.h>

#include <deque>
#include <mutex>

#include "core/error.h"

namespace warploop::cuda {

namespace {

struct Record {
  const char* kernel;
  StuckBarrier* barrier;
};
struct Records {
  std::mutex mutex;
  std::deque<Record> all;
};
Records& records() {
  static Records instance;
  return instance;
}

}  // namespace

StuckBarrier* new_stuck_barrier(const char* kernel) {
  void* memory = nullptr;
  auto mode = cudaStreamCaptureModeRelaxed;  // the stream may be recording, and this is not part of it
  cudaThreadExchangeStreamCaptureMode(&mode);
  const cudaError_t status =
      cudaHostAlloc(&memory, sizeof(StuckBarrier), cudaHostAllocPortable | cudaHostAllocMapped);
  cudaThreadExchangeStreamCaptureMode(&mode);
  if (status != cudaSuccess) fail(ErrorKind::execution, "cudaHostAlloc: ", cudaGetErrorString(status));
  auto* barrier = new (memory) StuckBarrier{};
  const std::lock_guard lock(records().mutex);
  records().all.push_back({kernel, barrier});
  return barrier;
}

std::string stuck_barrier_text() {
  const std::lock_guard lock(records().mutex);
  for (const auto& [kernel, s] : records().all) {
    if (s->raised == 0) continue;
    return concat(": mbarrier_wait in line ", s->line, " never ends: kernel ", kernel, ", block (",
                  s->block[0], ", ", s->block[1], ", ", s->block[2], "), thread ", s->thread,
                  ", barrier at shared address ", s->address, ", parity ", s->parity);
  }
  return {};
}

}  // namespace warploop::cuda
#endif
