// device/cluster.cuh, mbarrier_arrive_cluster and tma_load_multicast.
#include "cuda/device/cluster.cuh"

#include "atom.h"
#include "cuda/device/block.cuh"
#include "cuda/device/tma.cuh"
#include "cuda/tensor_map.h"

namespace warploop::atoms {
namespace {

using namespace cuda;

constexpr int kThreads = 64;

// ------------------------------------------------------------------------------------------ neighbours

struct NeighbourPlan {
  uint32_t values[kThreads];
  uint32_t gift;
};
/// Every thread reads the value of the next block and writes into the one after it.
__global__ void neighbours(uint32_t* rank, uint32_t* size, uint32_t* read, uint32_t* gifts) {
  NeighbourPlan& plan = shared_plan<NeighbourPlan>();
  const uint32_t own = cluster_rank(), blocks = cluster_size();
  const unsigned i = blockIdx.x * kThreads + threadIdx.x;
  plan.values[threadIdx.x] = 7 * i;
  if (threadIdx.x == 0) plan.gift = 0;
  cluster_sync();
  rank[i] = own;
  size[i] = blocks;
  read[i] = cluster_shared(plan.values, (own + 1) % blocks)[kThreads - 1 - threadIdx.x];
  if (threadIdx.x == 0) *cluster_shared(&plan.gift, (own + 2) % blocks) = blockIdx.x + 100;
  cluster_arrive();
  cluster_wait();
  gifts[i] = plan.gift;
}
const Atom neighbours_atom("cluster_shared", 90, [](Run& run) {
  for (const uint32_t blocks : {1u, 2u, 4u, 8u}) {
    const size_t count = 16 * kThreads;
    const auto make = [&] { return run.output<uint32_t>(count); };
    uint32_t *rank = make(), *size = make(), *read = make(), *gifts = make();
    launch<neighbours>(run.context(), {dim3(16), kThreads, sizeof(NeighbourPlan), static_cast<int>(blocks)},
                       rank, size, read, gifts);
    const auto want = [&](auto value) {
      return table(count, [&](size_t i) {
        const uint32_t block = static_cast<uint32_t>(i) / kThreads;
        return static_cast<uint32_t>(
            value(block / blocks * blocks, block % blocks, static_cast<uint32_t>(i) % kThreads));
      });
    };
    const std::string of = concat("_of_", blocks);
    run.expect("cluster_rank" + of, rank, want([](uint32_t, uint32_t r, uint32_t) { return r; }));
    run.expect("cluster_size" + of, size, std::vector<uint32_t>(count, blocks));
    run.expect("read" + of, read, want([&](uint32_t first, uint32_t r, uint32_t thread) {
                 return 7 * ((first + (r + 1) % blocks) * kThreads + kThreads - 1 - thread);
               }));
    run.expect("write" + of, gifts, want([&](uint32_t first, uint32_t r, uint32_t) {
                 return first + (r + 2 * blocks - 2) % blocks + 100;
               }));
  }
});

// ------------------------------------------------------------------------------------------ multicast

constexpr int kBlocks = 4, kRounds = 5, kSlice = 64;  // 16-bit elements of a slice

struct MulticastPlan {
  alignas(128) uint16_t slices[kBlocks][kSlice];
  Mbarrier full, empty;
};
/// Each block loads one slice of a row for all; a row is loaded again over the last one once all blocks have
/// read it. The odd blocks also get slice 0 from rank 1 instead of rank 0: masks are taken as they are.
__global__ void multicast(const __grid_constant__ CUtensorMap map, uint16_t* out) {
  MulticastPlan& plan = shared_plan<MulticastPlan>();
  const uint32_t rank = cluster_rank();
  if (threadIdx.x == 0) {
    mbarrier_init(plan.full, 1);
    mbarrier_init(plan.empty, kBlocks);
    fence_mbarrier_init();
  }
  cluster_sync();
  for (int round = 0; round < kRounds; round++) {
    if (threadIdx.x == 0) {
      mbarrier_wait(plan.empty, static_cast<uint32_t>(round % 2 ^ 1));
      mbarrier_expect_bytes(plan.full, kBlocks * kSlice * 2);
      const int coords[2] = {static_cast<int>(rank) * kSlice,
                             static_cast<int>(blockIdx.x) / kBlocks * kRounds + round};
      if (rank == 0) {
        tma_load_multicast(plan.slices[rank], &map, plan.full, coords, 0b0101);
      } else {
        tma_load_multicast(plan.slices[rank], &map, plan.full, coords, 0b1111);
      }
      if (rank == 1) {
        const int first[2] = {0, coords[1]};
        tma_load_multicast(plan.slices[0], &map, plan.full, first, 0b1010);
      }
    }
    mbarrier_wait(plan.full, static_cast<uint32_t>(round % 2));
    for (int i = static_cast<int>(threadIdx.x); i < kBlocks * kSlice; i += kThreads) {
      out[(static_cast<int>(blockIdx.x) * kRounds + round) * kBlocks * kSlice + i] =
          plan.slices[i / kSlice][i % kSlice];
    }
    sync_block();
    if (threadIdx.x < kBlocks) mbarrier_arrive_cluster(plan.empty, threadIdx.x);
  }
  cluster_sync();  // nobody ends while others may still arrive at its barrier
}
const Atom multicast_atom("tma_load_multicast", 90, [](Run& run) {
  constexpr size_t kRowElements = kBlocks * kSlice, kGrid = 2 * kBlocks, kRows = 2 * kRounds;
  const auto in = table(kRows * kRowElements, [](size_t i) {
    return static_cast<uint16_t>(pick(static_cast<uint32_t>(i), 60000));
  });
  uint16_t* out = run.output<uint16_t>(kGrid * kRounds * kRowElements);
  const uint64_t sizes[2] = {kRowElements, kRows}, strides[1] = {kRowElements * 2};
  const uint32_t box[2] = {kSlice, 1};
  const CUtensorMap map =
      encode_tensor_map(DType::bf16, 2, run.upload(in), sizes, strides, box, Swizzle::none);
  launch<multicast>(run.context(), {dim3(kGrid), kThreads, sizeof(MulticastPlan), kBlocks}, map, out);
  run.expect("rounds", out, table(kGrid * kRounds * kRowElements, [&](size_t i) {
               const size_t row = i / kRowElements, block = row / kRounds;
               return in[(block / kBlocks * kRounds + row % kRounds) * kRowElements + i % kRowElements];
             }));
});

}  // namespace
}  // namespace warploop::atoms
