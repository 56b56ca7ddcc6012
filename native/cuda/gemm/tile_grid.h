// The order in which tiles of a matrix are worked on. Host and device code.
#pragma once
#include <cstdint>

namespace warploop::cuda {

/// Pieces of `size` that cover `n`.
constexpr int64_t pieces(int64_t n, int64_t size) { return (n + size - 1) / size; }

struct TileIndex {
  int row, column;
};

/// Tiles that run at the same time lie close together, so that they share operands in L2: bands of kBandRows
/// rows of tiles, inside a band column by column.
struct TileGrid {
  static constexpr int kBandRows = 8;  // 66 clusters of 256 x 256 work on about 8 x 8 tiles at a time
  int rows, columns;

  constexpr int count() const { return rows * columns; }
  constexpr TileIndex at(int index) const {
    const int band = index / (kBandRows * columns), first = band * kBandRows;
    const int height = rows - first < kBandRows ? rows - first : kBandRows;
    const int within = index - first * columns;
    return {first + within % height, within / height};
  }
};

}  // namespace warploop::cuda
