// The reductions of a block, cuda/device/block.cuh, two in a row with the same scratch, as norms use them.
#include "cuda/device/block.cuh"

#include "cuda/launch.h"
#include "program.h"

namespace warploop::mutants {
namespace {

using namespace cuda;

constexpr int kBlocks = 2;
constexpr int kThreads = 128;

struct Plan {
  BlockScratch<float> scratch;
};

__global__ void __launch_bounds__(kThreads) reduce_twice(const float* values, float* sums) {
  auto& plan = shared_plan<Plan>();
  const float value = values[threadIdx.x];
  const float sum = sum_block(value, plan.scratch);
  sums[blockIdx.x * kThreads + threadIdx.x] = sum_block(value * sum, plan.scratch);
}

void run_block(Run& run) {
  const auto values = table(kThreads, [](size_t i) { return static_cast<float>(small_integer(i, 1)); });
  float sum = 0;
  for (const float value : values) sum += value;
  float* out = run.output<float>(kBlocks * kThreads);
  launch<reduce_twice>(run.context(), {dim3(kBlocks), kThreads, sizeof(Plan)},
                       static_cast<const float*>(run.upload(values)), out);
  run.expect("sums", out, std::vector<float>(kBlocks * kThreads, sum * sum));
}
const atoms::Atom block("block", 80, run_block);

}  // namespace
}  // namespace warploop::mutants
