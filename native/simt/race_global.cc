#include "simt/race_global.h"

#include <algorithm>

#include "simt/runtime/memory.h"

namespace warploop::simt::race {

GlobalMemory& GlobalMemory::of_launch() {
  static thread_local GlobalMemory instance;
  return instance;
}

void GlobalMemory::reset() {
  pages_.clear();
  told_.clear();
  last_page_ = 0;
  last_memory_ = nullptr;
}

Memory* GlobalMemory::page_of(const void* p, bool writes) {
  const uintptr_t page = reinterpret_cast<uintptr_t>(p) / kPageBytes;
  if (page == last_page_ && last_memory_) return last_memory_;
  auto found = pages_.find(page);
  if (found == pages_.end()) {
    if (!writes) return nullptr;
    const bool is_device = runtime::is_device_memory(p, 1);
    found = pages_.emplace(page, is_device ? std::make_unique<Memory>() : nullptr).first;
    if (is_device) found->second->open(kPageBytes, true);
  }
  last_page_ = page;
  return last_memory_ = found->second.get();
}

std::optional<Conflict> GlobalMemory::access(const View& me, Kind kind, bool async, const void* p,
                                             size_t bytes, Place place) {
  std::optional<Conflict> first;
  if (busy_) return first;
  busy_ = true;
  const uintptr_t end = reinterpret_cast<uintptr_t>(p) + bytes;
  for (uintptr_t at = reinterpret_cast<uintptr_t>(p); at < end;) {
    const uintptr_t page = at / kPageBytes, page_end = std::min(end, (page + 1) * kPageBytes);
    if (Memory* memory = page_of(reinterpret_cast<const void*>(at), kind != Kind::read)) {
      const auto conflict = memory->access(me, kind, async, at % kPageBytes, page_end - at, place);
      if (conflict && !first) {
        first = conflict;
        first->offset += page * kPageBytes;
      }
    }
    at = page_end;
  }
  busy_ = false;
  return first;
}

}  // namespace warploop::simt::race
