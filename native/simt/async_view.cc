#include "simt/async_view.h"

#include <cstring>

#include "simt/options.h"

namespace warploop::simt {

AsyncView::AsyncView(const SharedMemory& shared)
    : shared_(shared), seen_(shared.bytes() / 16), seen_at_(seen_.size(), 0) {
  // The first sm_90 operation of a block creates this: what was stored before, over the poison, is not
  // visible.
  if (options().poison) {
    std::memset(seen_.data(), 0xff, seen_.size() * sizeof(Piece));
  } else {
    std::memcpy(seen_.data(), shared.data(), seen_.size() * sizeof(Piece));
  }
}

void AsyncView::wrote(uint32_t offset, uint32_t bytes) {
  std::memcpy(&seen_[offset / 16], shared_.data() + offset, bytes);
  for (uint32_t piece = offset / 16; piece < (offset + bytes) / 16; piece++) seen_at_[piece] = fences_;
}

bool AsyncView::may_read(uint32_t offset) {
  const uint32_t piece = offset / 16;
  const std::byte* now = shared_.data() + offset;
  if (std::memcmp(&seen_[piece], now, 16) == 0) return true;
  if (fences_ == seen_at_[piece]) return false;
  std::memcpy(&seen_[piece], now, 16);
  seen_at_[piece] = fences_;
  return true;
}

}  // namespace warploop::simt
