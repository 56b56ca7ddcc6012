// A copy takes effect when it is issued or when its thread waits for its group: both extremes are legal on a
// GPU. Until then its target holds poison.
#include "simt/async_copy.h"

#include <cstring>

#include "simt/diagnostics.h"
#include "simt/predecessors.h"
#include "simt/race.h"
#include "simt/scheduler.h"

namespace warploop::simt {
namespace {

void land(const AsyncCopy& copy) {
  if (copy.source) {
    std::memcpy(copy.target, copy.source, copy.bytes);
  } else {
    std::memset(copy.target, 0, copy.bytes);
  }
}

}  // namespace

void start_copy(uint32_t target, const void* source, uint32_t bytes, Site site) {
  Thread& thread = self();
  if (reinterpret_cast<uintptr_t>(source) % bytes != 0) {
    fail("copy_async", site, "the source ", source, " is not aligned to ", bytes);
  }
  if (source) accesses_memory("copy_async", source, site);
  std::byte* p = shared_pointer(target, bytes, bytes, "copy_async", site);
  AsyncCopy copy{p, source, bytes, thread.open_group, scheduler().lands_now(), site};
  if (copy.landed) {
    land(copy);
  } else if (options().poison) {
    std::memset(p, 0xff, bytes);
  }
  race::copy_issued(thread, copy);
  thread.copies.push_back(copy);
}

void close_copy_group() { self().open_group++; }

void wait_for_copies(uint32_t groups_left) {
  Thread& thread = self();
  auto& copies = thread.copies;
  size_t& first = thread.first_copy;
  for (; first < copies.size() && copies[first].group + groups_left < thread.open_group; first++) {
    if (!copies[first].landed) land(copies[first]);
    race::copy_waited(thread, copies[first]);
  }
  if (first == copies.size()) {
    copies.clear();
    first = 0;
  }
}

}  // namespace warploop::simt
