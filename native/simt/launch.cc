#include "simt/launch.h"

#include <mutex>
#include <unordered_map>
#include <utility>

#include "simt/diagnostics.h"
#include "simt/race.h"
#include "simt/scheduler.h"

constinit thread_local uint3 threadIdx{};
constinit thread_local uint3 blockIdx{};
constinit thread_local dim3 blockDim{1, 1, 1};
constinit thread_local dim3 gridDim{1, 1, 1};

namespace warploop::simt {

constinit thread_local Thread* current_thread = nullptr;

namespace {

struct Registry {
  std::mutex mutex;
  std::unordered_map<const void*, Kernel> kernels;
  Counters counters;
};
Registry& registry() {
  static Registry instance;
  return instance;
}

void check(const Launch& launch) {
  const auto fail_for = [&](auto... parts) { fail_execution("simt: ", launch.kernel->name, ": ", parts...); };
  const auto size_of = [](dim3 d) { return uint64_t{d.x} * d.y * d.z; };
  if (size_of(launch.block) == 0 || size_of(launch.block) > 1024) {
    fail_for("a block has 1 to 1024 threads, got ", size_of(launch.block));
  }
  if (size_of(launch.grid) == 0 || size_of(launch.grid) > UINT32_MAX || launch.grid.y > 65535 ||
      launch.grid.z > 65535) {
    fail_for("the grid is empty or too large: ", launch.grid.x, " x ", launch.grid.y, " x ", launch.grid.z);
  }
  if (size_of(launch.cluster) == 0 || size_of(launch.cluster) > 16 || launch.grid.x % launch.cluster.x ||
      launch.grid.y % launch.cluster.y || launch.grid.z % launch.cluster.z) {
    fail_for("a cluster has 1 to 16 blocks and divides the grid");
  }
  if (launch.shared_bytes > kMaxSharedBytes) {
    fail_for(launch.shared_bytes, " bytes of shared memory, the device has ", kMaxSharedBytes);
  }
  const auto blocks = static_cast<size_t>(launch.kernel->blocks);
  if (blocks * (launch.shared_bytes + kReservedBytes) > kMaxSharedBytes + kReservedBytes) {
    fail_for(launch.shared_bytes, " bytes of shared memory, which is too much for ", blocks,
             " blocks of a multiprocessor");
  }
}

void add(Counters& total, const Counters& more) {
  total.launches += more.launches;
  total.blocks += more.blocks;
  total.switches += more.switches;
  total.rendezvous += more.rendezvous;
  total.matrix_products += more.matrix_products;
  total.matrix_loads += more.matrix_loads;
  total.bank_conflicts += more.bank_conflicts;
}

}  // namespace

void add_kernel(const void* function, const Kernel& kernel) {
  const std::lock_guard lock(registry().mutex);
  registry().kernels.emplace(function, kernel);
}

const Kernel* find_kernel(const void* function) {
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().kernels.find(function);
  return found == registry().kernels.end() ? nullptr : &found->second;
}

Counters total_counters() {
  const std::lock_guard lock(registry().mutex);
  return registry().counters;
}

uint64_t seed_of(const Launch& launch) {
  uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/
  const auto mix = [&](uint64_t value) { hash = (hash ^ value) * 0x100000001b3u; };
  for (const char* c = launch.kernel->name; *c; c++) mix(static_cast<unsigned char>(*c));
  for (const dim3& d : {launch.grid, launch.block, launch.cluster}) {
    mix(d.x);
    mix(d.y);
    mix(d.z);
  }
  return hash;
}

// ------------------------------------------------------------------------------------------ life of a grid

void Scheduler::start_block(Block& block, uint3 index) {
  const dim3 dim = launch_->block;
  const uint32_t threads = dim.x * dim.y * dim.z;
  if (block.threads.size() != threads) {
    block.threads = std::vector<Thread>(threads);
    block.warps = std::vector<Warp>((threads + 31) / 32);
    for (uint32_t i = 0; i < threads; i++) {
      Thread& thread = block.threads[i];
      thread.warp = &block.warps[i / 32];
      thread.number = static_cast<int>(i);
      thread.lane = static_cast<int>(i % 32);
      thread.warp->lanes |= 1u << thread.lane;
    }
  }
  block.index = index;
  block.running = static_cast<int>(threads);
  block.barriers = {};
  block.shared.open(launch_->shared_bytes, options_.poison);
  for (Thread& thread : block.threads) {
    const uint32_t i = static_cast<uint32_t>(thread.number);
    thread.index = {i % dim.x, i / dim.x % dim.y, i / (dim.x * dim.y)};
    thread.fiber = nullptr;
    thread.ended = false;
    thread.waited = !launch_->programmatic;
    thread.waits_in = nullptr;
    thread.copies.clear();
    thread.first_copy = 0;
    thread.open_group = 0;
  }
  for (Warp& warp : block.warps) {
    warp.block = &block;
    warp.number = static_cast<int>(&warp - block.warps.data());
    warp.threads = &block.threads[static_cast<size_t>(warp.number) * 32];
    warp.ended = 0;
    warp.last_lane = 31;
    warp.order = options_.schedule == Schedule::priority ? random_.next() : 0;
    enqueue(warp);
    warp.ready = warp.lanes;
  }
  counters.blocks++;
  race::block_started(block);
}

void Scheduler::start_cluster(Cluster& cluster, uint32_t number) {
  const dim3 dim = cluster_dim_;
  const uint32_t x = number % clusters_dim_.x, y = number / clusters_dim_.x % clusters_dim_.y,
                 z = number / clusters_dim_.x / clusters_dim_.y;
  const uint32_t blocks = dim.x * dim.y * dim.z;
  while (cluster.blocks.size() < blocks) {
    cluster.blocks.push_back(std::make_unique<Block>());
    cluster.blocks.back()->cluster = &cluster;
    cluster.blocks.back()->rank = static_cast<int>(cluster.blocks.size()) - 1;
  }
  cluster.blocks.resize(blocks);
  cluster.number = number;
  cluster.running = 0;
  for (uint32_t rank = 0; rank < blocks; rank++) {
    const uint3 index = {x * dim.x + rank % dim.x, y * dim.y + rank / dim.x % dim.y,
                         z * dim.z + rank / (dim.x * dim.y)};
    start_block(*cluster.blocks[rank], index);
    cluster.running += cluster.blocks[rank]->running;
  }
}

void Scheduler::start_clusters() {
  for (auto& cluster : clusters_) {
    if (next_cluster_ == cluster_order_.size()) return;
    if (cluster->running == 0) start_cluster(*cluster, cluster_order_[next_cluster_++]);
  }
}

void Scheduler::end_thread(Thread& thread) {
  Warp& warp = *thread.warp;
  Block& block = *warp.block;
  if (thread.first_copy != thread.copies.size()) {
    fail("copy_async", thread.copies[thread.first_copy].site,
         "the thread ends without having waited for this copy");
  }
  for (const Rendezvous& r : warp.rendezvous) {
    if (r.lanes >> thread.lane & 1) {
      fail(r.operation, r.site, "lane ", thread.lane, " ends, for which lanes ", hex(r.arrived), " wait");
    }
  }
  if (const Barrier& barrier = block.barriers[0]; barrier.arrived) {
    fail("sync_block", barrier.site, "thread ", thread.number, " ends, for which ", barrier.arrived,
         " threads wait");
  }
  if (!thread.waited) {
    fail("kernel", Site{},
         "the thread ends without wait_for_predecessors(), so the kernel after the next may start too early");
  }
  thread.ended = true;
  thread.fiber = nullptr;
  warp.ended |= 1u << thread.lane;
  polls_ = 0;
  if (--block.running == 0) {
    for (size_t id = 1; id < block.barriers.size(); id++) {
      const Barrier& barrier = block.barriers[id];
      if (barrier.arrived) {
        fail("barrier", barrier.site, "the block ends, but only ", barrier.arrived, " of ", barrier.expected,
             " threads have come to barrier ", id);
      }
    }
    if (!block.shared.intact()) {
      fail("shared_plan", Site{}, "the block has written behind its ", block.shared.bytes(),
           " bytes of shared memory");
    }
    if (block.attachment) block.attachment->check_end();
    race::block_ended(block);
  }
  if (--thread.warp->block->cluster->running == 0) cluster_ended_ = true;
}

void Scheduler::end_cluster(Cluster& cluster) {
  if (cluster.attachment) cluster.attachment->check_end();
  for (auto& block : cluster.blocks) block->attachment.reset();
  cluster.attachment.reset();
}

void Scheduler::run(const Launch& launch) {
  launch_ = &launch;
  counters = {};
  counters.launches = 1;
  cluster_dim_ = launch.cluster;
  clusters_dim_ = {launch.grid.x / cluster_dim_.x, launch.grid.y / cluster_dim_.y,
                   launch.grid.z / cluster_dim_.z};
  const uint64_t clusters = uint64_t{clusters_dim_.x} * clusters_dim_.y * clusters_dim_.z;
  cluster_order_.resize(launch.last_clusters ? std::min(launch.last_clusters, clusters) : clusters);
  const uint64_t left_out = clusters - cluster_order_.size();
  for (size_t i = 0; i < cluster_order_.size(); i++) cluster_order_[i] = static_cast<uint32_t>(left_out + i);
  random_.reseed(options_.seed ^ seed_of(launch));
  if (options_.schedule != Schedule::fifo) {
    for (size_t i = cluster_order_.size(); i > 1; i--) {
      std::swap(cluster_order_[i - 1], cluster_order_[random_.below(static_cast<uint32_t>(i))]);
    }
  }
  next_cluster_ = 0;
  next_order_ = 0;
  polls_ = 0;
  clusters_.resize(std::min(cluster_order_.size(), static_cast<size_t>(options_.resident)));
  for (auto& cluster : clusters_) {
    if (!cluster) cluster = std::make_unique<Cluster>();
  }
  gridDim = launch.grid;
  blockDim = launch.block;
  race::launch_started();
  try {
    run_clusters();
  } catch (...) {
    reset();
    throw;
  }
}

void Scheduler::run_clusters() {
  for (;;) {
    cluster_ended_ = false;
    warp_ = nullptr;  // it may have ended, and its memory may be another's
    start_clusters();
    if (Thread* next = pick()) {
      resume(next);  // until a cluster has ended, or nobody can run
    } else if (!land_some(true)) {
      fail("launch", Site{}, "deadlock: no thread can run\n", who_waits_where());
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    bool running = next_cluster_ < cluster_order_.size();
    for (auto& cluster : clusters_) {
      if (cluster->running == 0) {
        end_cluster(*cluster);
      } else {
        running = true;
      }
    }
    if (!running) return;
  }
}

void run(const Launch& launch) {
  check(launch);
  Scheduler& scheduler = Scheduler::of_os_thread();
  scheduler.run(launch);
  const std::lock_guard lock(registry().mutex);
  add(registry().counters, scheduler.counters);
}

}  // namespace warploop::simt
