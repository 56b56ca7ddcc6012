#include "simt/wgmma.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>

#include "simt/diagnostics.h"
#include "simt/matrix_operand.h"
#include "simt/options.h"
#include "simt/race.h"
#include "simt/rendezvous.h"
#include "simt/scheduler.h"
#include "simt/sm90.h"

namespace warploop::simt {
namespace {

constexpr int kRows = 16;  // of a warp
constexpr int kDepth = 16;
constexpr int kMaxColumns = 256;
constexpr uint32_t kPoison = 0xffffffff;

/// Calls visit(row, column, lane, i) for every accumulator d[i] of every lane.
template <class Visit>
void for_each_sum(int n, Visit visit) {
  for (int lane = 0; lane < 32; lane++) {
    for (int i = 0; i < n / 2; i++) {
      visit(lane / 4 + (i & 2) * 4, i / 4 * 8 + lane % 4 * 2 + (i & 1), lane, i);
    }
  }
}

using Operand = float[kDepth][kMaxColumns];  // [k, m or n]

/// Reads rows [first, first + rows) of a matrix in shared memory.
void read_matrix(Operand& values, const Product& product, uint64_t bits, bool mn_major, int first, int rows) {
  const MatrixDescriptor d = MatrixDescriptor::decode(bits);
  AsyncView& view = sm90(self_block()).view;
  const char* operation = "wgmma";
  const uint32_t own = static_cast<uint32_t>(self_block().rank)
                       << kRankShift;  // a descriptor has no room for it
  for (int row = 0; row < rows; row += mn_major ? 8 : 1) {
    for (int k = 0; k < kDepth; k += mn_major ? 1 : 8) {
      const uint32_t address =
          piece_address(d, mn_major, static_cast<uint32_t>(first + row), static_cast<uint32_t>(k));
      const std::byte* piece = shared_pointer(own | address, 16, 16, operation, product.site);
      race::async_read(product.moment, self_block(), piece, 16, product.site);
      if (!view.may_read(address - kSharedBase)) {
        fail(operation, product.site, "an operand holds plain stores (shared offset ", address - kSharedBase,
             ") without fence_async_shared() after them");
      }
      uint16_t bits16[8];
      std::memcpy(bits16, piece, 16);
      for (int i = 0; i < 8; i++) {
        const float value = widen(product.shape.type, bits16[i]);
        (mn_major ? values[k][row + i] : values[k + i][row]) = value;
      }
    }
  }
}

/// A of the warp from registers, laid out as for mma.m16n8k16.
void read_registers(Operand& values, const Product& product) {
  for (int lane = 0; lane < 32; lane++) {
    const int g = lane / 4, t = lane % 4 * 2;
    for (int r = 0; r < 4; r++) {
      const uint32_t pair = product.a_registers[lane][r];
      const int row = g + (r & 1) * 8, k = t + (r & 2) * 4;
      values[k][row] = widen(product.shape.type, static_cast<uint16_t>(pair));
      values[k + 1][row] = widen(product.shape.type, static_cast<uint16_t>(pair >> 16));
    }
  }
}

void execute(Product& product) {
  struct Operands {
    Operand a, b;
  };
  static thread_local const auto operands =
      std::make_unique<Operands>();  // too large for a library's own TLS
  Operand &a = operands->a, &b = operands->b;
  const ProductShape& shape = product.shape;
  if (shape.a_in_registers) {
    read_registers(a, product);
  } else {
    read_matrix(a, product, product.operands.a_descriptor, shape.trans_a, self_warp().number % 4 * kRows,
                kRows);
  }
  read_matrix(b, product, product.operands.b_descriptor, shape.trans_b, 0, shape.n);
  std::vector<float>& sums = product.sums->values;
  if (!product.operands.accumulate) std::fill(sums.begin(), sums.end(), 0.0f);
  for (int m = 0; m < kRows; m++) {
    float* row = &sums[static_cast<size_t>(m * shape.n)];
    for (int k = 0; k < kDepth; k++) {
      const float factor = a[k][m];
      const float* column = b[k];
      for (int n = 0; n < shape.n; n++) row[n] += factor * column[n];
    }
  }
  product.done = true;
}

/// The sums that `operands` of all lanes name: those held already, or taken from the kernel now.
HeldSums& hold(WarpProducts& state, ProductOperands* const* operands, int n, const char* operation,
               Site site) {
  for (auto& held : state.held) {
    const float* first = held->lanes[0];
    if (first == operands[0]->d && held->n == n) return *held;
    if (first < operands[0]->d + n / 2 && operands[0]->d < first + held->n / 2) {
      fail(operation, site, "the accumulators overlap with those of a product under way");
    }
  }
  HeldSums& held = *state.held.emplace_back(std::make_unique<HeldSums>());
  held.n = n;
  held.values.resize(static_cast<size_t>(kRows * n));
  for (int lane = 0; lane < 32; lane++) held.lanes[lane] = operands[lane]->d;
  for_each_sum(n, [&](int row, int column, int lane, int i) {
    held.values[static_cast<size_t>(row * n + column)] = held.lanes[lane][i];
    if (options().poison) std::memcpy(&held.lanes[lane][i], &kPoison, sizeof kPoison);
  });
  return held;
}

/// Gives the sums back to the kernel.
void give_back(const HeldSums& held, Site site) {
  for_each_sum(held.n, [&](int row, int column, int lane, int i) {
    if (options().poison && std::bit_cast<uint32_t>(held.lanes[lane][i]) != kPoison) {
      fail("wgmma_wait", site, "lane ", lane, " has written accumulator ", i,
           " while a product was under way");
    }
    held.lanes[lane][i] = held.values[static_cast<size_t>(row * held.n + column)];
  });
}

void check_descriptor(uint64_t bits, const char* which, const char* operation, Site site) {
  const MatrixDescriptor d = MatrixDescriptor::decode(bits);
  if (d.reserved_bits)
    fail(operation, site, "descriptor of ", which, " ", hex(bits), ": not from matrix_descriptor");
  if (d.base_offset)
    fail(operation, site, "descriptor of ", which, ": base offset ", d.base_offset, ", expected 0");
  if (!d.starts_pattern()) {
    fail(operation, site, "descriptor of ", which, ": the tile at ", hex(d.start),
         " is not aligned to 8 rows of ", d.swizzle_bytes, " bytes");
  }
}

/// All four warps of a warpgroup issue the same products in the same order.
void compare_warps(WarpgroupRecord& record, uint32_t warp, const WarpgroupRecord::Issued& mine,
                   const char* operation) {
  const uint64_t number = record.next[warp]++;
  const size_t at = static_cast<size_t>(number - record.first);
  if (at == record.issued.size()) {
    record.issued.push_back(mine);
  } else if (const auto& other = record.issued[at];
             !(other.shape == mine.shape) || other.a_descriptor != mine.a_descriptor ||
             other.b_descriptor != mine.b_descriptor || other.accumulate != mine.accumulate ||
             !same_place(other.site, mine.site)) {
    fail(operation, mine.site, "warp ", warp, " of the warpgroup differs from another, whose product ",
         number, " is at ", place(other.site), ": all four have to issue the same");
  }
  while (!record.issued.empty() && *std::min_element(record.next, record.next + 4) > record.first) {
    record.issued.pop_front();
    record.first++;
  }
}

}  // namespace

void issue_product(const ProductShape& shape, const ProductOperands& operands, const char* operation,
                   Site site) {
  Warp& warp = self_warp();
  const uint32_t number = static_cast<uint32_t>(warp.number);
  if (warp.block->threads.size() < (number / 4 + 1) * 128)
    fail(operation, site, "the warp is in no full warpgroup");
  ProductOperands mine = operands;
  meet(operation, ~0u, mine, site, [&](ProductOperands* const* lanes) {
    Sm90Block& block = sm90(*warp.block);
    WarpProducts& state = block.products[number];
    if (!state.fenced)
      fail(operation, site, "no wgmma_fence() since the last wgmma_commit() or wgmma_wait()");
    for (int lane = 0; lane < 32; lane++) {
      if (lanes[lane]->a_descriptor != operands.a_descriptor ||
          lanes[lane]->b_descriptor != operands.b_descriptor ||
          lanes[lane]->accumulate != operands.accumulate) {
        fail(operation, site, "lane ", lane,
             " brings another descriptor, or another `accumulate`, than lane ", self().lane);
      }
    }
    if (!shape.a_in_registers) check_descriptor(operands.a_descriptor, "A", operation, site);
    check_descriptor(operands.b_descriptor, "B", operation, site);
    compare_warps(block.warpgroups[number / 4], number % 4,
                  {shape, operands.a_descriptor, operands.b_descriptor, operands.accumulate, site},
                  operation);
    Product product{shape,
                    operands,
                    {},
                    &hold(state, lanes, shape.n, operation, site),
                    state.open_group,
                    false,
                    site,
                    race::product_issued(warp)};
    product.sums->unfinished++;
    if (shape.a_in_registers) {
      for (int lane = 0; lane < 32; lane++) std::copy_n(lanes[lane]->a, 4, product.a_registers[lane]);
    }
    state.products.push_back(product);
    if (scheduler().lands_now()) {
      for (Product& p : state.products) {
        if (!p.done) execute(p);
      }
    }
  });
}

void fence_products(Site site) {
  int nothing = 0;
  meet("wgmma_fence", ~0u, nothing, site, [&](int* const*) {
    sm90(self_block()).products[static_cast<size_t>(self_warp().number)].fenced = true;
  });
}

void commit_products(Site site) {
  int nothing = 0;
  meet("wgmma_commit", ~0u, nothing, site, [&](int* const*) {
    WarpProducts& state = sm90(self_block()).products[static_cast<size_t>(self_warp().number)];
    state.open_group++;
    state.fenced = false;
  });
}

void wait_for_products(int pending, Site site) {
  int nothing = 0;
  meet("wgmma_wait", ~0u, nothing, site, [&](int* const*) {
    WarpProducts& state = sm90(self_block()).products[static_cast<size_t>(self_warp().number)];
    state.fenced = false;
    while (!state.products.empty() && state.products.front().group < state.open_group - pending) {
      Product& product = state.products.front();
      if (!product.done) execute(product);
      product.sums->unfinished--;
      race::product_waited(self_warp(), product.moment);
      state.products.pop_front();
    }
    std::erase_if(state.held, [&](const auto& held) {
      if (held->unfinished) return false;
      give_back(*held, site);
      return true;
    });
  });
}

void check_products(const std::vector<WarpProducts>& products,
                    const std::vector<WarpgroupRecord>& warpgroups) {
  for (const WarpProducts& state : products) {
    if (state.products.empty()) continue;
    fail("wgmma", state.products.front().site, "the block ends without having waited for this product");
  }
  for (const WarpgroupRecord& record : warpgroups) {
    if (record.issued.empty()) continue;
    fail("wgmma", record.issued.front().site, "not all four warps of the warpgroup have issued this product");
  }
}

}  // namespace warploop::simt
