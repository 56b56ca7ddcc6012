#include "simt/runtime/workspace_parts.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>

#include "core/error.h"
#include "simt/runtime/context.h"
#include "simt/runtime/memory.h"

namespace warploop::simt::runtime {

namespace {

constexpr size_t kVector = 16;  // bytes: no access is aligned to more
constexpr std::byte kFilled{0x5a};

std::byte* round_up(std::byte* p, size_t to) {
  return reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(p) + to - 1) / to * to);
}

void put_on(cudaStream_t stream, Work work) {
  if (const cudaError_t status = put(stream, std::move(work)))
    fail_execution("simt: workspace: ", cudaGetErrorString(status));
}

}  // namespace

std::byte* WorkspaceParts::place(size_t bytes, size_t align) {
  const size_t unit = std::max(kVector, align);
  const size_t rounded = (bytes + unit - 1) / unit * unit;
  std::byte* guard = round_up(next_ + rounded, kPage);
  if (guard + kPage > memory_ + bytes_) fail_execution("simt: the op takes too many parts of the workspace");
  const Part part{guard - rounded, bytes, guard};
  parts_.push_back(part);
  next_ = guard + kPage;
  put_on(stream_, [part] {
    std::fill(part.begin + part.bytes, part.guard, kFilled);
    set_touchable(part.begin + part.bytes, part.guard, false);
  });
  return part.begin;
}

void WorkspaceParts::finish() {
  if (parts_.empty()) return;
  put_on(stream_, [parts = std::move(parts_), memory = memory_, used = next_ - memory_] {
    bool whole = true;
    for (const Part& part : parts) {
      set_touchable(part.begin + part.bytes, part.guard, true);
      whole &= std::all_of(part.begin + part.bytes, part.guard, [](std::byte b) { return b == kFilled; });
    }
    poison_again(memory, static_cast<size_t>(used));
    if (!whole) fail_execution("simt: the op has written behind a part of its workspace");
  });
  parts_.clear();
  next_ = memory_;
}

}  // namespace warploop::simt::runtime
