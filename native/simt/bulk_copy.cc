#include "simt/bulk_copy.h"

#include <algorithm>
#include <cstring>
#include <span>

#include "simt/diagnostics.h"
#include "simt/options.h"
#include "simt/predecessors.h"
#include "simt/race.h"
#include "simt/scheduler.h"
#include "simt/sm90.h"
#include "simt/tensor_map.h"

namespace warploop::simt {
namespace {

constexpr uint32_t kPieceBytes = 16;  // what a swizzle moves
constexpr uint32_t kBoxAlignment = 128;
constexpr std::byte kPoison{0xff};

/// A place in the shared memory of one block.
struct SharedPlace {
  Block* block;
  uint32_t offset;

  std::byte* data() const { return block->shared.data() + offset; }
};

/// [address, address + bytes) of the calling thread's block, or the same in block `rank`.
SharedPlace place_of(uint32_t address, uint32_t bytes, uint32_t alignment, const char* operation, Site site) {
  std::byte* p = shared_pointer(address, bytes, alignment, operation, site);
  Block& block = owner_of(address, operation, site);
  if (&block != &self_block()) fail(operation, site, "shared address ", hex(address), " is in another block");
  return {&block, static_cast<uint32_t>(p - block.shared.data())};
}

/// Where the piece at `offset` of a block's shared memory goes: bits 4.. of its address are xored with
/// bits 7..; CUTLASS writes it Swizzle<3, 4, 3>, <2, 4, 3>, <1, 4, 3> for 128, 64, 32 bytes.
uint32_t swizzled_offset(uint32_t offset, uint32_t swizzle_bytes) {
  if (swizzle_bytes == 0) return offset;
  const uint32_t address = offset + kSharedBase;
  const uint32_t pieces = swizzle_bytes / kPieceBytes;
  return offset ^ ((address >> 7) % pieces * kPieceBytes);
}

const TensorMap& map_of(const CUtensorMap* map, int rank, const char* operation, Site site) {
  const TensorMap* m = read_tensor_map(map);
  if (!m) fail(operation, site, "the argument is no tensor map of encode_tensor_map, or not aligned");
  if (m->rank != rank) fail(operation, site, "the tensor map has rank ", int{m->rank}, ", the copy ", rank);
  return *m;
}

/// A box of a tensor, as rows of its innermost dimension.
struct Box {
  TensorMap map;
  int64_t at[5];  // its first element

  uint32_t row_bytes() const { return map.box[0] * map.element_bytes; }
  uint32_t rows() const { return map.box_bytes() / row_bytes(); }

  /// The part of row `row` that lies in the tensor, and where in the row it begins.
  struct Part {
    std::span<std::byte> tensor;
    uint32_t begin;
  };
  Part part(uint32_t row) const {
    std::byte* first = map.base;
    for (int i = 1; i < map.rank; i++) {
      const int64_t index = at[i] + row % map.box[i];
      row /= map.box[i];
      if (index < 0 || index >= static_cast<int64_t>(map.sizes[i])) return {{}, 0};
      first += index * static_cast<int64_t>(map.strides[i]);
    }
    const int64_t begin = std::max<int64_t>(at[0], 0);
    const int64_t end = std::min(at[0] + map.box[0], static_cast<int64_t>(map.sizes[0]));
    if (begin >= end) return {{}, 0};
    const size_t bytes = static_cast<size_t>(end - begin) * map.element_bytes;
    return {{first + begin * map.element_bytes, bytes},
            static_cast<uint32_t>(begin - at[0]) * map.element_bytes};
  }
};

Box box_of(const TensorMap& map, const int* coords) {
  Box box{map, {}};
  for (int i = 0; i < map.rank; i++) box.at[i] = coords[i];
  return box;
}

/// A load under way.
class Load : public AsyncWork {
 public:
  Load(const char* operation, Site site, uint32_t bytes, std::vector<SharedPlace> targets, uint32_t barrier)
      : operation_(operation), site_(site), bytes_(bytes), targets_(std::move(targets)), barrier_(barrier) {
    for (const SharedPlace& target : targets_) {
      Sm90Block& state = sm90(*target.block);
      state.copies.loads++;
      if (options().poison) std::fill_n(target.data(), bytes_, kPoison);
      state.view.wrote(target.offset, bytes_);
      moments_.push_back(race::load_issued(*target.block, target.block->shared.data() + barrier_));
    }
  }
  void land() final {
    for (size_t i = 0; i < targets_.size(); i++) {
      const SharedPlace& target = targets_[i];
      fill(target);
      race::load_landed(moments_[i], *target.block, target.block->shared.data() + barrier_, target.data(),
                        bytes_, site_);
      Sm90Block& state = sm90(*target.block);
      state.view.wrote(target.offset, bytes_);
      state.copies.loads--;
      complete_bytes(*target.block, barrier_, bytes_, operation_, site_);
    }
  }

 protected:
  virtual void fill(SharedPlace target) const = 0;
  const race::Moment& moment() const { return moments_[0]; }
  Site site() const { return site_; }

 private:
  const char* operation_;
  Site site_;
  uint32_t bytes_;
  std::vector<SharedPlace> targets_;
  uint32_t barrier_;                   // its offset, the same in every target's block
  std::vector<race::Moment> moments_;  // per target
};

class BoxLoad final : public Load {
 public:
  BoxLoad(const char* operation, Site site, const Box& box, std::vector<SharedPlace> targets,
          uint32_t barrier)
      : Load(operation, site, box.map.box_bytes(), std::move(targets), barrier), box_(box) {}

 private:
  void fill(SharedPlace target) const override {
    const uint32_t row_bytes = box_.row_bytes();
    std::vector<std::byte> row(row_bytes);
    for (uint32_t r = 0; r < box_.rows(); r++) {
      std::fill(row.begin(), row.end(), std::byte{0});
      const Box::Part part = box_.part(r);
      race::async_global(moment(), *target.block, part.tensor.data(), part.tensor.size(), false, site());
      std::copy(part.tensor.begin(), part.tensor.end(), row.begin() + part.begin);
      for (uint32_t at = 0; at < row_bytes; at += kPieceBytes) {
        const uint32_t to = swizzled_offset(target.offset + r * row_bytes + at, box_.map.swizzle_bytes);
        std::memcpy(target.block->shared.data() + to, &row[at], kPieceBytes);
      }
    }
  }

  Box box_;
};

class BytesLoad final : public Load {
 public:
  BytesLoad(Site site, const void* source, uint32_t bytes, SharedPlace target, uint32_t barrier)
      : Load("bulk_load", site, bytes, {target}, barrier), source_(source), bytes_(bytes) {}

 private:
  void fill(SharedPlace target) const override {
    race::async_global(moment(), *target.block, const_cast<void*>(source_), bytes_, false, site());
    std::memcpy(target.data(), source_, bytes_);
  }

  const void* source_;
  uint32_t bytes_;
};

/// The same place in every block of the cluster that `blocks` names.
std::vector<SharedPlace> same_places(SharedPlace own, uint16_t blocks, const char* operation, Site site) {
  if (blocks == kOwnBlock) return {own};
  const auto& peers = own.block->cluster->blocks;
  if (blocks >> peers.size() != 0) {
    fail(operation, site, "block mask ", hex(blocks), " for a cluster of ", peers.size());
  }
  std::vector<SharedPlace> places;
  for (const auto& peer : peers) {
    if (!(blocks >> peer->rank & 1)) continue;
    if (peer->running == 0) fail(operation, site, "block ", peer->rank, " of the cluster has ended");
    places.push_back({peer.get(), own.offset});
  }
  return places;
}

}  // namespace

struct StoreBox {
  Box box;
  SharedPlace source;
  Site site;
  int group;
  race::Moment moment;
  std::vector<std::byte> bytes = {};  // row after row; empty: not read yet
  bool written = false;
  bool waited = false;  // for its being read, at least

  void read() {
    if (!bytes.empty()) return;
    const uint32_t row_bytes = box.row_bytes();
    bytes.resize(box.map.box_bytes());
    AsyncView& view = sm90(*source.block).view;
    for (uint32_t at = 0; at < bytes.size(); at += kPieceBytes) {
      const uint32_t from = swizzled_offset(source.offset + at, box.map.swizzle_bytes);
      const std::byte* piece = source.block->shared.data() + from;
      if (!box.part(at / row_bytes).tensor.empty()) {
        race::async_read(moment, *source.block, piece, kPieceBytes, site);
        if (!view.may_read(from)) {
          fail("tma_store", site, "the box holds plain stores (shared offset ", from,
               ") without fence_async_shared() after them");
        }
      }
      std::memcpy(&bytes[at], piece, kPieceBytes);
    }
  }
  void write() {
    if (written) return;
    read();
    for (uint32_t r = 0; r < box.rows(); r++) {
      const Box::Part part = box.part(r);
      if (part.tensor.empty()) continue;
      race::async_global(moment, *source.block, part.tensor.data(), part.tensor.size(), true, site);
      std::memcpy(part.tensor.data(), &bytes[r * box.row_bytes() + part.begin], part.tensor.size());
    }
    written = true;
  }
};

BulkCopies::BulkCopies() = default;
BulkCopies::~BulkCopies() = default;

void load_box(uint32_t target, const CUtensorMap* map, uint32_t barrier, const int* coords, int rank,
              uint16_t blocks, const char* operation, Site site) {
  const TensorMap& m = map_of(map, rank, operation, site);
  accesses_memory(operation, m.base, site);
  const SharedPlace own = place_of(target, m.box_bytes(), kBoxAlignment, operation, site);
  const uint32_t barrier_offset = place_of(barrier, 8, 8, operation, site).offset;
  std::vector<SharedPlace> targets = same_places(own, blocks, operation, site);
  for (const SharedPlace& place : targets) check_mbarrier(*place.block, barrier_offset, operation, site);
  scheduler().start(
      std::make_unique<BoxLoad>(operation, site, box_of(m, coords), std::move(targets), barrier_offset));
}

void prefetch_box(const CUtensorMap* map, int rank, Site site) { map_of(map, rank, "tma_prefetch", site); }

void load_bytes(uint32_t target, const void* source, uint32_t bytes, uint32_t barrier, Site site) {
  const char* operation = "bulk_load";
  if (bytes == 0 || bytes % 16 != 0) fail(operation, site, bytes, " bytes: expected a multiple of 16");
  if (reinterpret_cast<uintptr_t>(source) % 16 != 0) fail(operation, site, source, " is not aligned to 16");
  accesses_memory(operation, source, site);
  const SharedPlace place = place_of(target, bytes, 16, operation, site);
  const uint32_t barrier_offset = place_of(barrier, 8, 8, operation, site).offset;
  check_mbarrier(*place.block, barrier_offset, operation, site);
  scheduler().start(std::make_unique<BytesLoad>(site, source, bytes, place, barrier_offset));
}

void store_box(const CUtensorMap* map, uint32_t source, const int* coords, int rank, Site site) {
  const char* operation = "tma_store";
  const TensorMap& m = map_of(map, rank, operation, site);
  accesses_memory(operation, m.base, site);
  const SharedPlace place = place_of(source, m.box_bytes(), kBoxAlignment, operation, site);
  BulkCopies::Stores& stores = sm90(*place.block).copies.stores[self().number];
  stores.boxes.push_back(std::make_unique<StoreBox>(
      StoreBox{box_of(m, coords), place, site, stores.open_group, race::store_issued(self())}));
  if (scheduler().lands_now()) stores.boxes.back()->read();
  if (!stores.boxes.back()->bytes.empty() && scheduler().lands_now()) stores.boxes.back()->write();
}

void commit_stores() { sm90(self_block()).copies.stores[self().number].open_group++; }

void wait_for_stores(int pending, bool read_only) {
  BulkCopies::Stores& stores = sm90(self_block()).copies.stores[self().number];
  const int done = stores.open_group - pending;  // groups before it
  for (auto& box : stores.boxes) {
    if (box->group >= done) break;
    read_only ? box->read() : box->write();
    box->waited = true;
    race::store_waited(self(), box->moment);
  }
  std::erase_if(stores.boxes, [](const auto& box) { return box->waited && box->written; });
}

void finish_stores(BulkCopies& copies) {
  for (auto& [thread, stores] : copies.stores) {
    for (auto& box : stores.boxes) {
      if (!box->waited) {
        fail("tma_store", box->site, "thread ", thread,
             " has not waited for this store: the block may end before its shared memory is read");
      }
      box->write();
    }
  }
}

void check_tensor_map(const CUtensorMap* map, Site site) {
  if (!read_tensor_map(map))
    fail("tensor_map_prefetch", site, "the argument is no tensor map of encode_tensor_map");
}

}  // namespace warploop::simt
