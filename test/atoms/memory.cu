// device/memory.cuh, device/last_block.cuh, device/fault.cuh and device/async_copy.cuh.
#include "cuda/device/async_copy.cuh"
#include "cuda/device/block.cuh"
#include "cuda/device/fault.cuh"
#include "cuda/device/last_block.cuh"

#include "atom.h"

namespace warploop::atoms {
namespace {

using namespace cuda;

// ------------------------------------------------------------------------------------------ atomics

constexpr int kBlocks = 5, kThreads = 64;

struct Totals {
  int32_t i32;
  uint32_t u32;
  float f32;
  unsigned long long u64;
  int32_t max_i32;
  uint32_t max_u32;
  unsigned long long max_u64;
};
struct AtomicsPlan {
  Totals totals;
};
WARPLOOP_DEVICE void add_to(Totals& totals, int i) {
  atomic_add(&totals.i32, i % 7 - 3);
  atomic_add(&totals.u32, static_cast<uint32_t>(i));
  atomic_add(&totals.f32, static_cast<float>(i) * 0.5f);
  atomic_add(&totals.u64, static_cast<unsigned long long>(i) << 20);
  atomic_max(&totals.max_i32, -1 - i % 13);
  atomic_max(&totals.max_u32, static_cast<uint32_t>(i * 37 % 101));
  atomic_max(&totals.max_u64, static_cast<unsigned long long>(i * 29 % 103) << 33);
}
__global__ void atomics(Totals* global, Totals* shared_of_block_0) {
  AtomicsPlan& plan = shared_plan<AtomicsPlan>();
  if (threadIdx.x == 0) plan.totals = {0, 0, 0.0f, 0, -100, 0, 0};
  sync_block();
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  add_to(*global, i);
  add_to(plan.totals, i);
  sync_block();
  if (i == 0) *shared_of_block_0 = plan.totals;
}
const Atom atomics_atom("atomic_add", 80, [](Run& run) {
  Totals* global = run.upload(std::vector<Totals>{{0, 0, 0.0f, 0, -100, 0, 0}});
  Totals* shared = run.upload(std::vector<Totals>(1));
  launch<atomics>(run.context(), {dim3(kBlocks), kThreads, sizeof(AtomicsPlan)}, global, shared);
  const auto check = [&](const char* where, const Totals* totals, int count) {
    Totals want{0, 0, 0, 0, -100, 0, 0};
    for (int i = 0; i < count; i++) {
      want.i32 += i % 7 - 3;
      want.u32 += static_cast<uint32_t>(i);
      want.f32 += static_cast<float>(i) * 0.5f;
      want.u64 += static_cast<unsigned long long>(i) << 20;
      want.max_i32 = std::max(want.max_i32, -1 - i % 13);
      want.max_u32 = std::max(want.max_u32, static_cast<uint32_t>(i * 37 % 101));
      want.max_u64 = std::max(want.max_u64, static_cast<unsigned long long>(i * 29 % 103) << 33);
    }
    const std::string name(where);
    run.expect(name + "_add_i32", &totals->i32, std::vector<int32_t>{want.i32});
    run.expect(name + "_add_u32", &totals->u32, std::vector<uint32_t>{want.u32});
    run.expect(name + "_add_f32", &totals->f32, std::vector<float>{want.f32});
    run.expect(name + "_add_u64", &totals->u64, std::vector<unsigned long long>{want.u64});
    run.expect(name + "_max_i32", &totals->max_i32, std::vector<int32_t>{want.max_i32});
    run.expect(name + "_max_u32", &totals->max_u32, std::vector<uint32_t>{want.max_u32});
    run.expect(name + "_max_u64", &totals->max_u64, std::vector<unsigned long long>{want.max_u64});
  };
  check("global", global, kBlocks * kThreads);
  check("shared", shared, kThreads);
});

/// Every thread takes a free cell of a table by compare-exchange; all numbers must be there once.
__global__ void take_cells(uint32_t* cells, unsigned long long* wide) {
  const uint32_t own = blockIdx.x * kThreads + threadIdx.x + 1;
  for (uint32_t at = own * 7 % (kBlocks * kThreads); atomic_compare_exchange(&cells[at], 0u, own) != 0u;) {
    at = (at + 1) % (kBlocks * kThreads);
  }
  if (own <= 32) atomic_compare_exchange(&wide[own % 4], 5ull, 6ull);
}
const Atom compare_exchange_atom("atomic_compare_exchange", 80, [](Run& run) {
  constexpr size_t kCells = kBlocks * kThreads;
  uint32_t* cells = run.upload(std::vector<uint32_t>(kCells, 0));
  auto* wide = run.upload(std::vector<unsigned long long>{5, 4, 5, 4});
  launch<take_cells>(run.context(), {dim3(kBlocks), kThreads}, cells, wide);
  std::vector<uint32_t> got = run.download(cells, kCells);
  std::sort(got.begin(), got.end());
  run.expect("all_placed", run.upload(got),
             table(kCells, [](size_t i) { return static_cast<uint32_t>(i) + 1; }));
  run.expect("u64", wide, std::vector<unsigned long long>{6, 4, 6, 4});
});

// ------------------------------------------------------------------------------------------ ordering

/// The last block to finish sums up what the others wrote.
__global__ void last_block_sums(uint32_t* partials, uint32_t* arrived, uint32_t* sum) {
  if (threadIdx.x == 0) {
    partials[blockIdx.x] = pick(blockIdx.x, 1000);
    fence_device();
    if (atomic_add(arrived, 1u) == gridDim.x - 1) {
      fence_device();
      uint32_t total = 0;
      for (unsigned i = 0; i < gridDim.x; i++) total += load_acquire(&partials[i]);
      *sum = total;
    }
  }
}
const Atom fence_atom("fence_device", 80, [](Run& run) {
  uint32_t* partials = run.output<uint32_t>(kBlocks);
  uint32_t* arrived = run.upload(std::vector<uint32_t>{0});
  uint32_t* sum = run.output<uint32_t>(1);
  launch<last_block_sums>(run.context(), {dim3(kBlocks), 32}, partials, arrived, sum);
  uint32_t want = 0;
  for (uint32_t i = 0; i < kBlocks; i++) want += pick(i, 1000);
  run.expect("last_block", sum, std::vector<uint32_t>{want});
});

/// Every thread leaves a part; each thread of the last block sums up its column.
__global__ void sum_columns(uint32_t* parts, uint32_t* arrived, uint32_t* sums) {
  bool& is_last = shared_plan<bool>();
  parts[blockIdx.x * kThreads + threadIdx.x] = pick(blockIdx.x * kThreads + threadIdx.x, 1000);
  if (!arrive_last(*arrived, gridDim.x, is_last)) return;
  const unsigned column = kThreads - 1 - threadIdx.x;  // what other threads of this block have written, too
  uint32_t total = 0;
  for (unsigned i = 0; i < gridDim.x; i++) total += parts[i * kThreads + column];
  sums[column] += total;
}
const Atom arrival_atom("atomic_add_acq_rel", 80, [](Run& run) {
  uint32_t* parts = run.output<uint32_t>(kBlocks * kThreads);
  uint32_t* arrived = run.upload(std::vector<uint32_t>{0});
  uint32_t* sums = run.upload(std::vector<uint32_t>(kThreads, 0));
  constexpr uint32_t kTimes = 3;  // the counter is ready for the next launch
  for (uint32_t i = 0; i < kTimes; i++) {
    launch<sum_columns>(run.context(),
                        {.grid = dim3(kBlocks), .threads = kThreads, .shared_bytes = sizeof(bool)}, parts,
                        arrived, sums);
  }
  run.expect("arrive_last", sums, table(kThreads, [](size_t column) {
               uint32_t total = 0;
               for (size_t i = 0; i < kBlocks; i++) total += pick(i * kThreads + column, 1000);
               return kTimes * total;
             }));
  run.expect("arrived", arrived, std::vector<uint32_t>{0});
});

/// Warp 1 polls for what warp 0 releases.
__global__ void hand_over(uint32_t* flag, uint32_t* data, uint32_t* out) {
  if (threadIdx.x == 0) {
    *data = 4711;
    store_release(flag, 1);
  }
  if (threadIdx.x == 32) {
    while (load_acquire(flag) == 0) back_off();
    *out = *data;
  }
}
const Atom hand_over_atom("store_release", 80, [](Run& run) {
  uint32_t* flag = run.upload(std::vector<uint32_t>{0});
  uint32_t *data = run.output<uint32_t>(1), *out = run.output<uint32_t>(1);
  launch<hand_over>(run.context(), {dim3(1), 64}, flag, data, out);
  run.expect("load_acquire", out, std::vector<uint32_t>{4711});
});

// ------------------------------------------------------------------------------------------ faults

__global__ void fault_all(FaultSite site) { raise_fault(site, 100 + threadIdx.x * 0, 64); }
const Atom fault_atom("raise_fault", 80, [](Run& run) {
  FaultRecord* record = run.upload(std::vector<FaultRecord>(1));
  launch<fault_all>(run.context(), {dim3(2), 32}, FaultSite{record, "op", "text"});
  run.expect("raised", &record->raised, std::vector<uint32_t>{1});
  run.expect("value", &record->value, std::vector<long long>{100});
  run.expect("limit", &record->limit, std::vector<long long>{64});
});

// ------------------------------------------------------------------------------------------ cp.async

constexpr int kCopies = 32;
struct CopyPlan {
  alignas(16) uint32_t stages[3][4 * kCopies];
  uint32_t words[kCopies];
};
/// Three groups; each is used when it is the oldest.
__global__ void copy_async(const uint32_t* in, uint32_t* out, uint32_t* words) {
  CopyPlan& plan = shared_plan<CopyPlan>();
  const int i = static_cast<int>(threadIdx.x);
  const auto stage = [&](int s) {
    copy_async_16(shared_address(&plan.stages[s][4 * i]), in + (s * kCopies + i) * 4, i % 5 != s);
    if (s == 1) copy_async_4(shared_address(&plan.words[i]), in + 3 * i, i % 4 != 3);
    copy_async_commit();
  };
  stage(0);
  stage(1);
  stage(2);
  const auto use = [&](int s) {
    for (int j = 0; j < 4; j++) out[(s * kCopies + i) * 4 + j] = plan.stages[s][4 * (i ^ 9) + j];
  };
  copy_async_wait<2>();
  sync_block();
  use(0);
  copy_async_wait<1>();
  sync_block();
  use(1);
  words[i] = plan.words[i ^ 2];
  copy_async_wait<0>();
  sync_block();
  use(2);
}
const Atom copy_async_atom("copy_async_16", 80, [](Run& run) {
  const auto in =
      table(3 * kCopies * 4, [](size_t i) { return pick(static_cast<uint32_t>(i), 1u << 30) + 1; });
  uint32_t *out = run.output<uint32_t>(in.size()), *words = run.output<uint32_t>(kCopies);
  launch<copy_async>(run.context(), {dim3(1), kCopies, sizeof(CopyPlan)},
                     static_cast<const uint32_t*>(run.upload(in)), out, words);
  run.expect("stages", out, table(in.size(), [&](size_t at) {
               const size_t stage = at / (4 * kCopies), piece = (at / 4 % kCopies) ^ 9;
               return piece % 5 == stage ? 0 : in[(stage * kCopies + piece) * 4 + at % 4];
             }));
  run.expect("copy_async_4", words,
             table(kCopies, [&](size_t i) { return (i ^ 2) % 4 == 3 ? 0 : in[3 * (i ^ 2)]; }));
});

}  // namespace
}  // namespace warploop::atoms
