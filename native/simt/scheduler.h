// Decides which thread of the resident clusters runs next, and runs them all in the calling OS thread.
#pragma once
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "simt/fiber.h"
#include "simt/launch.h"
#include "simt/model.h"
#include "simt/options.h"
#include "simt/random.h"

namespace warploop::simt {

/// Work that a thread starts and that takes effect on its own: a bulk copy. (cp.async is not one of these,
/// see async_copy.cc: it takes effect at a wait of its thread at the latest.)
struct AsyncWork {
  virtual ~AsyncWork() = default;
  virtual void land() = 0;
};

class Scheduler {
 public:
  Scheduler();
  ~Scheduler();

  static Scheduler& of_os_thread();
  void run(const Launch& launch);

  // The following are for code that runs in a kernel.

  /// The calling thread, which has registered somewhere to be woken, gives way until then.
  void block(const char* operation, Site site);
  void wake(Warp& warp, uint32_t lanes);
  void wake(Thread& thread) { wake(*thread.warp, 1u << thread.lane); }
  /// The calling thread polls: others first.
  void yield(const char* operation, Site site);
  /// The calling thread stands still for a while, or not: sometimes until the others can do nothing without
  /// it. Lanes of a warp that nothing holds together drift apart so.
  void linger(const char* operation, Site site);
  /// Lands now or at some later time, as Options::async says.
  void start(std::unique_ptr<AsyncWork> work);

  Random& random() { return random_; }
  /// True when an asynchronous operation whose moment is a choice between now and its wait takes effect now.
  bool lands_now();

  const Launch& launch() const { return *launch_; }
  Counters counters;  // of the launch under way
  /// One line per operation and place, with the threads that wait there.
  std::string who_waits_where() const;

 private:
  static void worker_main();
  void run_clusters();
  void start_clusters();
  void start_cluster(Cluster& cluster, uint32_t number);
  void start_block(Block& block, uint3 index);
  void end_cluster(Cluster& cluster);
  void end_thread(Thread& thread);
  void reset();

  Thread* pick();
  Warp* pick_warp();
  void enqueue(Warp& warp);
  void dequeue(Warp& warp);
  bool land_some(bool anyway);
  Thread* take_lingering();

  Fiber& idle_worker();
  void enter(Thread& thread);
  void resume(Thread* next);

  const Options options_ = options();
  const Launch* launch_ = nullptr;
  Random random_;
  dim3 cluster_dim_, clusters_dim_;
  std::vector<uint32_t> cluster_order_;  // numbers of the clusters in the order in which they run
  size_t next_cluster_ = 0;

  Fiber main_;
  Fiber* running_ = &main_;
  Fiber* left_ = &main_;  // ran before it
  std::vector<std::unique_ptr<Fiber>> workers_;
  std::vector<Fiber*> idle_;
  std::vector<std::unique_ptr<Cluster>> clusters_;  // resident; running == 0: free
  std::vector<Warp*> ready_;                        // warps with ready lanes
  Warp* warp_ = nullptr;                            // that ran last
  uint64_t next_order_ = 0;
  std::vector<std::unique_ptr<AsyncWork>> async_;  // started, not landed
  uint32_t landing_odds_ = 8;                      // one of so many picks lands something
  std::unique_ptr<AsyncWork> landing_;             // landed last
  std::vector<Thread*> lingering_;
  int polls_ = 0;  // since something else than polling happened
  bool cluster_ended_ = false;
  std::exception_ptr error_;
};

extern constinit thread_local Scheduler* current_scheduler __attribute__((tls_model("initial-exec")));

/// That of the calling OS thread; for code that runs in a kernel.
inline Scheduler& scheduler() { return *current_scheduler; }

/// Differs between kernels and shapes, not between runs: a launch behaves the same in a whole suite and
/// alone.
uint64_t seed_of(const Launch& launch);

}  // namespace warploop::simt
