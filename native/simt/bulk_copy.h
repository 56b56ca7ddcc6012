// The copy engine: boxes of tensors and runs of bytes between global and shared memory. Loads land at a time
// of the scheduler's choice and count their bytes at an mbarrier; until then the target is poison. Stores
// read shared memory and write global memory at their issue or as late as the waits of their thread allow.
#pragma once
#include <cuda.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "simt/model.h"

namespace warploop::simt {

struct StoreBox;

/// Of a block.
struct BulkCopies {
  BulkCopies();
  ~BulkCopies();

  /// The stores of one thread, oldest first; those of a group are together.
  struct Stores {
    std::vector<std::unique_ptr<StoreBox>> boxes;
    int open_group = 0;
  };
  std::map<int, Stores> stores;  // by number of the thread
  int loads = 0;                 // that have not landed in this block's shared memory
};

inline constexpr uint16_t kOwnBlock = 0;  // instead of a mask of blocks

/// cp.async.bulk.tensor from global memory. `blocks`: ranks in the cluster as bits, or kOwnBlock.
void load_box(uint32_t target, const CUtensorMap* map, uint32_t barrier, const int* coords, int rank,
              uint16_t blocks, const char* operation, Site site);
/// cp.async.bulk.prefetch.tensor: there is no cache here, so only the map is looked at.
void prefetch_box(const CUtensorMap* map, int rank, Site site);
/// cp.async.bulk from global memory.
void load_bytes(uint32_t target, const void* source, uint32_t bytes, uint32_t barrier, Site site);

/// cp.async.bulk.tensor to global memory.
void store_box(const CUtensorMap* map, uint32_t source, const int* coords, int rank, Site site);
void commit_stores();
/// Waits until all but the `pending` youngest groups have read their boxes, or, not `read_only`, have written
/// them.
void wait_for_stores(int pending, bool read_only);
/// The block ends: fails for a box that nobody waited for, writes those that were only read.
void finish_stores(BulkCopies& copies);

void check_tensor_map(const CUtensorMap* map, Site site);

}  // namespace warploop::simt
