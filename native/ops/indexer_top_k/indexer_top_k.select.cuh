// Choosing among scores without sorting: entries (key of the score, position) lie in ascending order of
// position and stay so, whatever is dropped. Ties then fall to the earlier entry by themselves, and what is
// left in the end is in order.
//
// Unlike the search for a cutoff of logits (cuda/logits/logit_cutoff.cuh), which weighs each and reads rows
// whose block maxima spare it most, every entry here counts 1 and most matter: 32 bits of histogram suffice.
#pragma once
#include <bit>

#include "cuda/device/memory.cuh"
#include "cuda/device/scan.cuh"
#include "cuda/logits/logit_order.cuh"

namespace warploop::cuda {

inline constexpr int kSelectBins = 1 << 11;
inline constexpr int kMostPieces = 256;

/// Unsigned integers in the order of scores, NaN above all numbers. Never 0.
WARPLOOP_DEVICE uint32_t score_key(float score) {
  return score == score ? order_key(score + 0.0f) : 0xffffffffu;
}

/// A part of the entries, which one warp goes through. `first` is a multiple of 4.
struct Piece {
  int first, count;
};

/// What is kept: the entries above `limit`, and the first `equal` of those at it.
struct KeyCut {
  uint32_t limit, equal;
};

struct SelectPlan {
  uint32_t bins[kSelectBins];
  BlockScratch<uint32_t> scratch;
  uint32_t bin, above, here;  // of the bin that was found: entries in those before it, and in it
  // Of each piece: entries above the limit, then where the kept ones go; entries at it, then those before.
  uint32_t places[kMostPieces], ties[kMostPieces];
  uint32_t arrived[kWarpSize];  // entries that each warp adds to a running selection
};

/// Entries in pieces. Every thread of the block calls every function; there are at least as many threads as
/// pieces. piece_of(i): a Piece.
template <class PieceOf>
class Selection {
 public:
  WARPLOOP_DEVICE Selection(const uint32_t* keys, int num_pieces, PieceOf piece_of, SelectPlan& plan)
      : keys_(keys), num_pieces_(num_pieces), piece_of_(piece_of), plan_(plan) {}

  /// Which entries are the best `wanted` of those that there are, at least as many. Digit by digit: 11, 11
  /// and 10 bits of the key, fewer when a bin is taken as a whole.
  WARPLOOP_DEVICE KeyCut find(uint32_t wanted) {
    uint32_t prefix = 0;
#pragma unroll 1
    for (int digit = 0; digit < 3; digit++) {
      const int shift = digit == 0 ? 21 : digit == 1 ? 10 : 0, bits = digit == 2 ? 10 : 11;
      count(digit > 0, prefix, shift, bits);
      locate(wanted);
      prefix = prefix << bits | ((1u << bits) - 1 - plan_.bin);
      wanted -= plan_.above;
      const bool whole = plan_.here == wanted;
      const uint32_t least = prefix << shift;
      if (whole && digit < 2) return {least > 0 ? least - 1 : 0, 0};
    }
    return {prefix, wanted};
  }

  /// Calls emit(place, entry) for every kept entry; places count from 0 in order of the entries.
  template <class Emit>
  WARPLOOP_DEVICE void keep(KeyCut cut, const Emit& emit) {
    for_pieces([&](int number, Piece piece) {
      uint32_t above = 0, equal = 0;
      for_vectors_of(piece, [&](const uint32_t(&keys)[4], int) {
#pragma unroll
        for (int e = 0; e < 4; e++) above += keys[e] > cut.limit, equal += keys[e] == cut.limit;
      });
      above = sum_lanes(above), equal = sum_lanes(equal);
      if (lane_index() == 0) plan_.places[number] = above, plan_.ties[number] = equal;
    });
    sync_block();
    const int own = static_cast<int>(threadIdx.x);
    const bool has = own < num_pieces_;
    const uint32_t above = has ? plan_.places[own] : 0, equal = has ? plan_.ties[own] : 0;
    uint32_t total;
    const uint32_t ties = sum_threads_before(equal, plan_.scratch, total);
    const uint32_t kept = above + SmallerOf{}(equal, cut.equal - SmallerOf{}(cut.equal, ties));
    const uint32_t place = sum_threads_before(kept, plan_.scratch, total);
    if (has) plan_.places[own] = place, plan_.ties[own] = ties;
    sync_block();
    for_pieces([&](int number, Piece piece) {
      keep_of(piece, plan_.places[number], plan_.ties[number], cut, emit);
    });
  }

 private:
  template <class Body>
  WARPLOOP_DEVICE void for_pieces(const Body& body) const {
    const int warps = static_cast<int>(blockDim.x) / kWarpSize;
    for (int i = static_cast<int>(threadIdx.x) / kWarpSize; i < num_pieces_; i += warps)
      body(i, piece_of_(i));
  }
  /// body(keys, i): the entries i to i + 3 of a piece; the key is 0 where there is none. Two loads of a lane
  /// are under way together.
  template <class Body>
  WARPLOOP_DEVICE void for_vectors_of(Piece piece, const Body& body) const {
    constexpr int kStep = 4 * kWarpSize;
    for (int i = 4 * lane_index(); i - 4 * lane_index() < piece.count; i += 2 * kStep) {
      uint32_t keys[2][4];
      load(piece, i, keys[0]);
      load(piece, i + kStep, keys[1]);
      body(keys[0], i);
      body(keys[1], i + kStep);
    }
  }
  WARPLOOP_DEVICE void load(Piece piece, int i, uint32_t (&keys)[4]) const {
    if (i + 4 <= piece.count) {
      const uint4 all = load_16(keys_ + piece.first + i);
      keys[0] = all.x, keys[1] = all.y, keys[2] = all.z, keys[3] = all.w;
      return;
    }
#pragma unroll
    for (int e = 0; e < 4; e++) keys[e] = i + e < piece.count ? keys_[piece.first + i + e] : 0;
  }

  /// Histogram of a digit, the largest first, of the keys that begin with `prefix`.
  WARPLOOP_DEVICE void count(bool has_prefix, uint32_t prefix, int shift, int bits) {
    const uint32_t last = (1u << bits) - 1;
    for (int i = static_cast<int>(threadIdx.x); i < kSelectBins; i += static_cast<int>(blockDim.x))
      plan_.bins[i] = 0;
    sync_block();
    for_pieces([&](int, Piece piece) {
      for_vectors_of(piece, [&](const uint32_t(&keys)[4], int) {
#pragma unroll
        for (int e = 0; e < 4; e++) {
          const bool counts = keys[e] != 0 && (!has_prefix || keys[e] >> shift >> bits == prefix);
          add(counts, last - (keys[e] >> shift & last));
        }
      });
    });
  }
  /// Scores are alike in their first digit: lanes that hit the same bin add as one.
  WARPLOOP_DEVICE void add(bool counts, uint32_t bin) {
    if (!any_lane(counts)) return;
    const uint32_t peers = match_lanes(counts ? static_cast<int>(bin) : -1);
    if (counts && lane_index() == std::countr_zero(peers))
      atomic_add(&plan_.bins[bin], static_cast<uint32_t>(std::popcount(peers)));
  }
  /// The bin in which the count, summed from bin 0 on, reaches `wanted`.
  WARPLOOP_DEVICE void locate(uint32_t wanted) {
    sync_block();
    const int count = kSelectBins / static_cast<int>(blockDim.x),
              first = static_cast<int>(threadIdx.x) * count;
    uint32_t own = 0, total;
    for (int i = 0; i < count; i++) own += plan_.bins[first + i];
    uint32_t sum = sum_threads_before(own, plan_.scratch, total);
    if (sum < wanted && wanted <= sum + own) {  // one thread
      int bin = first;
      for (; sum + plan_.bins[bin] < wanted; bin++) sum += plan_.bins[bin];
      plan_.bin = static_cast<uint32_t>(bin), plan_.above = sum, plan_.here = plan_.bins[bin];
    }
    sync_block();
  }

  template <class Emit>
  WARPLOOP_DEVICE void keep_of(Piece piece, uint32_t place, uint32_t ties, KeyCut cut, const Emit& emit) {
    for_vectors_of(piece, [&](const uint32_t(&keys)[4], int i) {
      uint32_t above = 0, equal = 0;
#pragma unroll
      for (int e = 0; e < 4; e++) above += keys[e] > cut.limit, equal += keys[e] == cut.limit;
      const uint32_t ties_before = sum_lanes_before(equal);
      uint32_t own_ties = ties + ties_before;
      const uint32_t kept = above + SmallerOf{}(equal, cut.equal - SmallerOf{}(cut.equal, own_ties));
      const uint32_t kept_before = sum_lanes_before(kept);
      uint32_t at = place + kept_before;
#pragma unroll
      for (int e = 0; e < 4; e++) {
        const bool is_tie = keys[e] == cut.limit;
        if (keys[e] > cut.limit || (is_tie && own_ties < cut.equal)) emit(at++, piece.first + i + e);
        own_ties += is_tie;
      }
      place += shuffle(kept_before + kept, kWarpSize - 1);
      ties += shuffle(ties_before + equal, kWarpSize - 1);
    });
  }

  const uint32_t* keys_;
  int num_pieces_;
  PieceOf piece_of_;
  SelectPlan& plan_;
};

/// The best `wanted` of the scores that a block has seen, and maybe others, in two buffers in turn.
class RunningSelection {
 public:
  static constexpr int kPiece = 256;
  /// Entries of a buffer: rare cuts are cheap ones, since each reads all that there is. A multiple of kPiece.
  static constexpr int capacity_for(int wanted, int threads) {
    return (4 * wanted + threads + kPiece - 1) / kPiece * kPiece;
  }

  /// keys, positions: [2][capacity].
  WARPLOOP_DEVICE RunningSelection(uint32_t* keys, int32_t* positions, int wanted, SelectPlan& plan)
      : keys_(keys),
        positions_(positions),
        wanted_(wanted),
        capacity_(capacity_for(wanted, static_cast<int>(blockDim.x))),
        plan_(plan) {}

  /// One score of each thread, in ascending order of position. Between two calls lies a barrier.
  WARPLOOP_DEVICE void add(bool has, float score, int32_t position) {
    const int warps = static_cast<int>(blockDim.x) / kWarpSize,
              own = static_cast<int>(threadIdx.x) / kWarpSize;
    const uint32_t key = score_key(score);
    const bool enters = has && key > limit_;
    const uint32_t lanes = ballot(enters);
    if (lane_index() == 0) plan_.arrived[own] = static_cast<uint32_t>(std::popcount(lanes));
    sync_block();
    int at = first_ + size_;
    for (int w = 0; w < warps; w++) {
      const int arrived = static_cast<int>(plan_.arrived[w]);
      if (w < own) at += arrived;
      size_ += arrived;
    }
    if (enters) {
      at += std::popcount(lanes & ((1u << lane_index()) - 1));
      keys_[at] = key, positions_[at] = position;
    }
    if (size_ > capacity_ - static_cast<int>(blockDim.x)) shorten();
  }

  /// Drops all but the best.
  WARPLOOP_DEVICE void shorten() {
    if (size_ <= wanted_) return;
    const int to = capacity_ - first_;
    select([&](uint32_t place, int entry) {
      keys_[to + static_cast<int>(place)] = keys_[entry];
      positions_[to + static_cast<int>(place)] = positions_[entry];
    });
    sync_block();
    first_ = to, size_ = wanted_;
  }
  /// The best, of at least as many, to `out`.
  WARPLOOP_DEVICE void store(int32_t* out) {
    select([&](uint32_t place, int entry) { out[place] = positions_[entry]; });
  }
  /// Where the entries lie.
  WARPLOOP_DEVICE Piece entries() const { return {first_, size_}; }

 private:
  template <class Emit>
  WARPLOOP_DEVICE void select(const Emit& emit) {
    sync_block();
    const int first = first_, size = size_;
    const auto piece_of = [first, size](int i) {
      return Piece{first + i * kPiece, size - i * kPiece < kPiece ? size - i * kPiece : kPiece};
    };
    Selection selection(keys_, (size + kPiece - 1) / kPiece, piece_of, plan_);
    const KeyCut cut = selection.find(static_cast<uint32_t>(wanted_));
    selection.keep(cut, emit);
    limit_ = cut.limit;
  }

  uint32_t* keys_;
  int32_t* positions_;
  const int wanted_, capacity_;
  SelectPlan& plan_;
  int first_ = 0, size_ = 0;
  uint32_t limit_ = 0;  // what enters is above
};

}  // namespace warploop::cuda
