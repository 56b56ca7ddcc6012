// What:      counts[e] += the pairs (t, k) with experts[t, k] = e whose token has a slot
// Steps:     1. the pairs of an expert, those of each lane by themselves
//            2. their sum is added to the number of 64 bits
// Mapping:   a warp owns an expert and looks at all pairs; block = 8 warps. Nobody else writes its number, so
//            there is nothing atomic
// Resources: no shared memory
// Cost:      few pairs: bound by the latency of a launch. 64 Ki pairs of 128 experts: each warp reads 256 KB
//            from L2, about 25 us
// Numerics:  integers
// Source:    the definition
#include "ops/moe_count/moe_count.h"

#include "cuda/device/fault.cuh"
#include "cuda/device/warp.cuh"
#include "cuda/launch.h"

namespace warploop::cuda {

namespace {

constexpr int kWarps = 8;

struct CountArguments {
  const int32_t* experts;
  const int32_t* slots;  // or null
  uint32_t* counts;
  uint32_t pairs, K;  // less than 2^31: 64-bit divisions spill
  int32_t E;
  FaultSite fault;
};

__global__ void __launch_bounds__(kWarps* kWarpSize)
    count_experts_kernel(const __grid_constant__ CountArguments p) {
  wait_for_predecessors();
  const int expert = static_cast<int>(blockIdx.x) * kWarps + warp_index();
  if (expert >= p.E) return;
  uint32_t found = 0;
#pragma unroll 4
  for (auto pair = static_cast<uint32_t>(lane_index()); pair < p.pairs; pair += kWarpSize) {  // 1.
    const int32_t e = p.experts[pair];
    if (expert == 0 && (e < 0 || e >= p.E)) raise_fault(p.fault, e, p.E, pair / p.K, pair % p.K);
    if (e == expert && (!p.slots || p.slots[pair / p.K] >= 0)) found++;
  }
  const uint32_t sum = sum_lanes(found);  // 2.
  if (lane_index() == 0) add_wide(p.counts + 2 * expert, sum);
}

}  // namespace

void moe_count(const MoeCountParams& p, CudaContext& context) {
  const auto E = static_cast<int32_t>(p.counts.size(0));
  const CountArguments arguments{
      .experts = p.experts.as<int32_t>(),
      .slots = p.slots.as<int32_t>(),
      .counts = p.counts.as<uint32_t>(),
      .pairs = static_cast<uint32_t>(p.experts.numel()),
      .K = static_cast<uint32_t>(p.experts.size(1)),
      .E = E,
      .fault = context.fault_site(OpId::moe_count,
                                  "experts[{index}, {column}] = {value} is outside [0, E={limit})")};
  const auto blocks = static_cast<unsigned>((E + kWarps - 1) / kWarps);
  launch<count_experts_kernel>(context, {.grid = dim3(blocks), .threads = kWarps * kWarpSize}, arguments);
}

}  // namespace warploop::cuda
