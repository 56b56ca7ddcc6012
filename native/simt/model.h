// The objects of a running grid: threads in warps in blocks in clusters. Data only; who changes it:
// scheduler.cc (what runs), rendezvous.cc and barrier.cc (what waits), async_copy.cc (copies).
#pragma once
#include <vector_types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "simt/shared_memory.h"
#include "simt/site.h"

namespace warploop::simt {

class Fiber;
struct Warp;
struct Block;
struct Cluster;

/// One cp.async under way.
struct AsyncCopy {
  std::byte* target;   // in shared memory
  const void* source;  // null: zeros
  uint32_t bytes;
  uint32_t group;  // number of the group it belongs to, counted from the thread's start
  bool landed;
  Site site;
};

struct alignas(64) Thread {  // what a switch needs comes first, in one cache line
  Fiber* fiber = nullptr;    // holds the stack from the first step to the end
  Warp* warp = nullptr;
  uint3 index{};
  int number = 0;  // in the block
  int lane = 0;    // in the warp
  bool ended = false;
  bool waited = true;              // for the launches before: it may access global memory
  const char* waits_in = nullptr;  // name of the operation that the thread entered last and has not left
  Site waits_at{};
  std::vector<AsyncCopy> copies;  // in the order of issue; those before first_copy are done
  size_t first_copy = 0;
  uint32_t open_group = 0;
};

/// A warp-wide operation that waits for its lanes.
struct Rendezvous {
  uint32_t lanes = 0;  // that take part; 0: not in use
  uint32_t arrived = 0;
  const char* operation = nullptr;
  Site site{};
  void* slots[32];  // per lane, what it brings and where it wants the result
};

struct Warp {
  Block* block = nullptr;
  Thread* threads = nullptr;  // lane 0
  int number = 0;             // in the block
  uint32_t lanes = 0;         // that exist
  uint32_t ready = 0;         // that can run
  uint32_t ended = 0;
  int last_lane = 31;                    // that ran
  int queue_position = -1;               // in the scheduler's list of warps with ready lanes
  uint64_t order = 0;                    // fifo: when it became ready; priority: its priority
  std::array<Rendezvous, 8> rendezvous;  // with disjoint masks; far more than any kernel needs at once
};

/// Barrier 0 is sync_block, 1 to 15 are the named ones. Warps arrive as a whole.
struct Barrier {
  int expected = 0;  // threads; 0: nobody has come yet
  int arrived = 0;   // threads
  uint32_t arrived_warps = 0;
  uint32_t waiting_warps = 0;
  Site site{};  // of the first arrival
};

/// State that a part of the emulator (the sm_90 operations, the race checker) hangs on a block or a cluster.
struct Attachment {
  virtual ~Attachment() = default;
  /// The last thread has ended: fails when something is still under way.
  virtual void check_end() {}
  /// What a thread that is blocked waits for, as the end of a sentence; empty: for nothing of this part.
  virtual std::string waits_for(const Thread&) const { return {}; }
};

struct Block {
  Cluster* cluster = nullptr;
  int rank = 0;  // in the cluster
  uint3 index{};
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::array<Barrier, 16> barriers;
  SharedMemory shared;
  int running = 0;                         // threads that have not ended
  std::unique_ptr<Attachment> attachment;  // of the sm_90 operations
  std::unique_ptr<Attachment> race;        // of the race checker
};

/// Blocks that run at the same time and see each other's shared memory; one block in launches without
/// clusters.
struct Cluster {
  uint32_t number = 0;                         // in the launch
  std::vector<std::unique_ptr<Block>> blocks;  // by rank
  int running = 0;                             // threads that have not ended
  std::unique_ptr<Attachment> attachment;      // of the sm_90 operations
};

/// The thread whose code runs now; null outside of kernels.
extern constinit thread_local Thread* current_thread __attribute__((tls_model("initial-exec")));

inline Thread& self() { return *current_thread; }
inline Warp& self_warp() { return *current_thread->warp; }
inline Block& self_block() { return *current_thread->warp->block; }

}  // namespace warploop::simt

// Real variables, not macros: cudaLaunchConfig_t has a member gridDim. Rewritten on every switch.
extern constinit thread_local uint3 threadIdx __attribute__((tls_model("initial-exec")));
extern constinit thread_local uint3 blockIdx __attribute__((tls_model("initial-exec")));
extern constinit thread_local dim3 blockDim __attribute__((tls_model("initial-exec")));
extern constinit thread_local dim3 gridDim __attribute__((tls_model("initial-exec")));
