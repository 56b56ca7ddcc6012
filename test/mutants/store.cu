// A tile on its way out: plain stores to shared memory, a proxy fence, a barrier, and one thread hands the
// tile to the copy engine. No op stores this way yet, so the kernel is here.
#include "cuda/device/block.cuh"
#include "cuda/device/mbarrier.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/launch.h"
#include "cuda/tensor_map.h"
#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kThreads = 128, kRows = 32, kColumns = 64, kTiles = 3;

struct Plan {
  alignas(128) uint16_t tile[kRows * kColumns];
};

__global__ void __launch_bounds__(kThreads)
    store_tiles(const uint16_t* values, const __grid_constant__ CUtensorMap map) {
  auto& plan = shared_plan<Plan>();
  const int thread = static_cast<int>(threadIdx.x);
  for (int tile = 0; tile < kTiles; tile++) {
    for (int i = thread; i < kRows * kColumns; i += kThreads) {
      plan.tile[i] = values[tile * kRows * kColumns + i];
    }
    fence_async_shared();
    sync_block();
    if (thread == 0) {
      tma_store<2>(&map, plan.tile, {0, tile * kRows});
      tma_store_commit();
      tma_store_wait_read<0>();
    }
    sync_block();
  }
  if (thread == 0) tma_store_wait<0>();
}

void run_store(Run& run) {
  const auto values = matrix(kTiles * kRows, kColumns, kColumns, 1);
  uint16_t* out = run.output<uint16_t>(values.size());
  const uint64_t sizes[2] = {kColumns, kTiles * kRows}, strides[1] = {kColumns * 2};
  const uint32_t box[2] = {kColumns, kRows};
  launch<store_tiles>(run.context(), {dim3(1), kThreads, sizeof(Plan)},
                      static_cast<const uint16_t*>(run.upload(values)),
                      encode_tensor_map(DType::bf16, 2, out, sizes, strides, box, Swizzle::none));
  run.expect("out", out, values);
}
const atoms::Atom store("store", 90, run_store);

}  // namespace
}  // namespace warploop::mutants
