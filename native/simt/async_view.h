// What the copy engine and the tensor cores see of a block's shared memory. A plain store of a thread becomes
// visible to them only with a fence_async_shared() after it; without the fence they may read what was there
// before.
//
// Plain stores are not observed here. Instead each 16-byte piece keeps what was last known to be visible, and
// the number of fences in the block until then: a piece that has changed without any fence since is read too
// early. A fence of another thread hides the mistake, so this never blames a correct kernel, but misses some
// wrong ones.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "simt/shared_memory.h"

namespace warploop::simt {

class AsyncView {
 public:
  explicit AsyncView(const SharedMemory& shared);

  /// fence_async_shared() of any thread.
  void fence() { fences_++; }
  /// The copy engine has written [offset, offset + bytes), multiples of 16.
  void wrote(uint32_t offset, uint32_t bytes);
  /// False: the 16 bytes at `offset`, a multiple of 16, hold a plain store that is not visible yet.
  bool may_read(uint32_t offset);

 private:
  struct Piece {
    std::byte bytes[16];
  };

  const SharedMemory& shared_;
  std::vector<Piece> seen_;
  std::vector<uint32_t> seen_at_;  // fences until then
  uint32_t fences_ = 0;
};

}  // namespace warploop::simt
