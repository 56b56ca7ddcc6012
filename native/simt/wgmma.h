// Products of warpgroups. Each of the four warps carries out its 16 rows; a product reads shared memory at
// its issue or as late as the waits of its warp allow. From issue to wait its accumulators are kept here, and
// the kernel's are poison.
#pragma once
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "simt/mma.h"
#include "simt/model.h"
#include "simt/race.h"

namespace warploop::simt {

/// What one wgmma instruction says.
struct ProductShape {
  int n;
  MmaType type;
  bool a_in_registers, trans_a, trans_b;

  bool operator==(const ProductShape&) const = default;
};

/// What one lane brings to it.
struct ProductOperands {
  float* d;           // [n / 2]
  const uint32_t* a;  // [4], or null
  uint64_t a_descriptor, b_descriptor;
  bool accumulate;
};

/// Accumulators of a warp while products on them are under way.
struct HeldSums {
  float* lanes[32];  // where the kernel has them
  int n;
  int unfinished = 0;         // products that have not been waited for
  std::vector<float> values;  // [16, n]
};

struct Product {
  ProductShape shape;
  ProductOperands operands;     // of lane 0; `a` is not used
  uint32_t a_registers[32][4];  // as they were at the issue
  HeldSums* sums;
  int group;
  bool done = false;
  Site site;
  race::Moment moment;
};

/// Of a warp.
struct WarpProducts {
  std::deque<Product> products;  // in the order of issue
  std::vector<std::unique_ptr<HeldSums>> held;
  int open_group = 0;
  bool fenced = false;  // since the last commit or wait
};

/// The products that not all four warps have issued yet.
struct WarpgroupRecord {
  struct Issued {
    ProductShape shape;
    uint64_t a_descriptor, b_descriptor;
    bool accumulate;
    Site site;
  };
  std::deque<Issued> issued;
  uint64_t first = 0;  // number of issued[0], counted from the start of the block
  uint64_t next[4] = {};
};

void issue_product(const ProductShape& shape, const ProductOperands& operands, const char* operation,
                   Site site);
void fence_products(Site site);
void commit_products(Site site);
void wait_for_products(int pending, Site site);
/// The block ends.
void check_products(const std::vector<WarpProducts>& products,
                    const std::vector<WarpgroupRecord>& warpgroups);

}  // namespace warploop::simt
