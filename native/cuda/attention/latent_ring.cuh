// Latents on their way into shared memory: two stages of kTileLatents of them, filled by cp.async row by
// row, so that any page size and any choice of tokens works.
//
// Where a tile's latents lie is asked of memory twice, of indices and of the page table. A lane of the
// first warp does that for one latent, and looks at what an answer is a tile later, so that nobody waits
// for it:
//   tile i + 2: its indices are read; tile i + 1: the pages of its tokens are read; then its rows are known
//
// Rules of the ring, for tile i of n, slot i % 2:
//   begin(): a barrier; issues tile 0
//   advance(i): waits for tile i, a barrier, issues tile i + 1 into the slot that tile i - 1 has left. Tile
//     i may be read until the next advance()
#pragma once
#include <climits>

#include "cuda/attention/key_ring.cuh"
#include "cuda/attention/sequences.cuh"

namespace warploop::cuda {

inline constexpr int kTileLatents = kWarpSize;

template <class T, int kWidth, int kThreads>
class LatentRing {
 public:
  /// A member of the kernel's shared plan.
  struct Storage {
    struct Stage {
      alignas(128) T latents[kTileLatents * kWidth];
    };
    Stage stages[2];
    int64_t rows[2][kTileLatents];  // -1: zeros
    uint32_t none[2];               // bit r: latent r of the tile is none
  };

  /// Tiles `tile`, `tile` + kTileLatents, ... below keys.last.
  WARPLOOP_DEVICE LatentRing(Storage& storage, const KeySource& source, int tile)
      : storage_(storage),
        source_(source),
        tile_(tile),
        count_(std::max(source.keys.last - tile + kTileLatents - 1, 0) / kTileLatents),
        looks_up_(threadIdx.x < kTileLatents) {
    if (looks_up_ && source.p.indices) read_query(source.p, source.item.first_query, token_end_);
  }

  WARPLOOP_DEVICE int count() const { return count_; }
  WARPLOOP_DEVICE const T* latents(int i) const { return storage_.stages[i % 2].latents; }
  WARPLOOP_DEVICE uint32_t none(int i) const { return storage_.none[i % 2]; }

  WARPLOOP_DEVICE void begin() {
    read_token(0);
    look_up(0);
    publish(0);
    sync_block();
    issue(0);
    look_up(1);
  }
  WARPLOOP_DEVICE void advance(int i) {
    copy_async_wait<0>();
    publish(i + 1);
    sync_block();
    issue(i + 1);
    look_up(i + 2);
  }

 private:
  WARPLOOP_DEVICE void read_token(int i) {
    if (looks_up_) stored_ = stored_token(source_, tile_ + i * kTileLatents + lane_index());
  }
  /// Of tile i; its tokens have been read.
  WARPLOOP_DEVICE void look_up(int i) {
    if (!looks_up_) return;
    token_ = verified_token(source_, stored_, token_end_);
    page_ = token_ < 0 ? -1 : stored_page(source_, token_);
    read_token(i + 1);
  }
  /// The rows of tile i, which has been looked up.
  WARPLOOP_DEVICE void publish(int i) {
    if (!looks_up_) return;
    const int64_t row = token_ < 0 ? -1 : row_at(source_, place_in(source_, page_, token_)).key;
    const uint32_t none = ballot(row < 0);
    storage_.rows[i % 2][lane_index()] = row;
    if (lane_index() == 0) storage_.none[i % 2] = none;
  }
  WARPLOOP_DEVICE void issue(int i) {
    if (i < count_) {
      const int64_t* rows = storage_.rows[i % 2];
      copy_rows<kTileLatents, kWidth, kThreads>(storage_.stages[i % 2].latents, source_.p.k.template as<T>(),
                                                static_cast<int>(source_.p.k.sizes[3]),
                                                [rows](int r) { return rows[r]; });
    }
    copy_async_commit();
  }

  Storage& storage_;
  const KeySource source_;
  const int tile_, count_;
  const bool looks_up_;
  int token_end_ = INT_MAX;  // of chosen tokens: those that the query could see
  int stored_ = -1;          // of this lane's latent of the tile after that which was looked up: not verified
  int token_ = -1;           // of the tile that was looked up last
  int64_t page_ = -1;        // of it, not verified
};

}  // namespace warploop::cuda
