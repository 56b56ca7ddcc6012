// Who accessed global memory in the launch under way, and what atomics have told whom.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

#include "simt/race_memory.h"

namespace warploop::simt::race {

/// A launch runs in one OS thread, and streams order launches: there is one of these per thread, emptied by
/// each launch. A page has cells from its first write on; reads before it are not kept.
class GlobalMemory {
 public:
  static GlobalMemory& of_launch();
  void reset();

  std::optional<Conflict> access(const View& me, Kind kind, bool async, const void* p, size_t bytes,
                                 Place place);
  /// What has been released to an atomic variable, by all in its release sequence.
  DevicePtr& told(const void* variable) { return told_[variable]; }

 private:
  static constexpr size_t kPageBytes = 4096;
  /// The cells of the page that `p` lies in. Null: there are none.
  Memory* page_of(const void* p, bool writes);

  std::unordered_map<uintptr_t, std::unique_ptr<Memory>> pages_;  // null: memory of the host
  std::unordered_map<const void*, DevicePtr> told_;
  uintptr_t last_page_ = 0;
  Memory* last_memory_ = nullptr;
  bool busy_ =
      false;  // templates that kernels use are instrumented here, too: what they do is not the kernel's
};

}  // namespace warploop::simt::race
