// Products with weights of codes whose activations are bytes (cpu/int8_rows.h): integer sums, which are
// exact, and few float steps behind them, in the order of k:
//
//     sum = sum + (integer sum factor of x) scale - weighted sum of x minimum
//     out = sum scale of the row
//
// All instruction sets make the same steps, and give the same bits; none depends on other rows.
//
// Order of work: some rows of x become bytes; then, piece by piece of rows and panels, kByteChunk inputs of
// two panels are unpacked to bytes in L1 and meet all rows of the piece.
#pragma once
#include "cpu/byte_streams.h"
#include "cpu/byte_strips.h"
#include "cpu/cpu_context.h"
#include "cpu/rows.h"
#include "formats/formats.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int64_t kByteRows = 96;    // of a piece; a multiple of every tile's rows
inline constexpr int64_t kBytePanels = 16;  // of a piece, at most; even: gate and up panels stay together
/// Scratch of a thread.
struct ByteScratch {
  ByteStrip strip;
  alignas(64) float sums[kByteRows * kBytePanels * kPanel];
};

/// What quantised rows of all threads have of the first thread's workspace.
inline constexpr size_t kSharedBytes = 3u << 20;
static_assert(sizeof(ByteScratch) + kSharedBytes <= kWorkspaceBytes);

/// Quantised rows, for all threads.
inline std::byte* quantised_rows(CpuContext& context) {
  return context.workspace<std::byte>(0) + kWorkspaceBytes - kSharedBytes;
}

/// One piece: rows times panels [first, first + panels), into scratch.sums [count][panels * 16].
template <Codes codes>
void multiply_piece(const CodeWeight& w, const Int8Shape& shape, std::byte* quantised, int64_t count,
                    int64_t first, int64_t panels, ByteScratch& scratch) {
  Int8Row rows[kByteRows];
  for (int64_t row = 0; row < count; row++) rows[row] = Int8Row(quantised + row * shape.row_bytes(), shape);
  const bool has_halves = Quantised<codes>::kIsNibble && shape.dot == 16;
  if (count > kStreamedRows || has_halves) {
    multiply_strips<codes>(w, shape, rows, count, first, panels, scratch.strip, scratch.sums);
  } else if (count == 1) {
    multiply_streams<codes, 1>(w, shape, rows, count, first, panels, scratch.sums);
  } else if constexpr (kStreamedRows > 1) {
    count == 2 ? multiply_streams<codes, 2>(w, shape, rows, count, first, panels, scratch.sums)
               : multiply_streams<codes, 4>(w, shape, rows, count, first, panels, scratch.sums);
  }
  const int64_t width = panels * kPanel;
  for (int64_t row = 0; row < count; row++) {
    const float scale = *rows[row].scale;
    for (int64_t i = 0; i < width; i += kLanes) {
      float* to = scratch.sums + row * width + i;
      store(to, load(to) * scale);
    }
  }
}

/// How x is cut for a weight.
inline Int8Shape int8_shape(const WeightView& weight) {
  const int64_t group = weight.numbers.group;
  return {weight.inputs, group % 128 == 0 ? kWideBlock : group % 32 == 0 ? kNarrowBlock : 16};
}

/// Rows of x, in the order in which they lie in the result, and which matrix of the weight each meets:
/// matrix m has rows [begin(m), begin(m + 1)).
template <class Begin, class RowAt>
struct GroupedRows {
  int64_t matrices;
  Begin begin;
  RowAt row_at;  // a row by its number
};

/// Rows [first, end) have been quantised. Pieces of them, dealt to threads.
template <Codes codes, class Rows, class Finish>
void multiply_quantised(CpuContext& context, const WeightView& weight, const Int8Shape& shape,
                        const Rows& rows, int64_t first, int64_t end, int64_t panels_each,
                        const Finish& finish) {
  const auto row_range = [&](int64_t matrix) {
    const int64_t from = std::max<int64_t>(rows.begin(matrix), first);
    return std::pair(from, std::max(from, std::min<int64_t>(rows.begin(matrix + 1), end)));
  };
  int64_t most = 0;
  for (int64_t m = 0; m < rows.matrices; m++) most = std::max(most, row_range(m).second - row_range(m).first);
  const int64_t panels = weight.data.size(1) / kPanel;
  const int64_t row_blocks = (most + kByteRows - 1) / kByteRows;
  const int64_t panel_blocks = (panels + panels_each - 1) / panels_each;
  std::byte* const quantised = quantised_rows(context);
  parallel_for(context.pool(), rows.matrices * panel_blocks * row_blocks, 1,
               [&](int64_t begin, int64_t last, int thread) {
                 for (int64_t i = begin; i < last; i++) {
                   const int64_t block = i % row_blocks;  // neighbours share their panels
                   const int64_t panel = i / row_blocks % panel_blocks * panels_each;
                   const int64_t matrix = i / row_blocks / panel_blocks;
                   const auto [from, to] = row_range(matrix);
                   const int64_t row = from + block * kByteRows, count = std::min(kByteRows, to - row);
                   if (count <= 0) continue;
                   auto& scratch = *context.workspace<ByteScratch>(thread);
                   const auto some = std::min(panels_each, panels - panel);
                   multiply_piece<codes>(code_weight<Quantised<codes>>(weight, matrix), shape,
                                         quantised + (row - first) * shape.row_bytes(), count, panel, some,
                                         scratch);
                   finish(matrix, row, static_cast<int>(count), panel, static_cast<int>(some), scratch.sums);
                 }
               });
}

/// Products of all rows, whose activations become bytes. finish(matrix, row, count, panel, panels, tile) gets
/// tile [count][panels * 16] of rows from `row` on. `panels_each`: of a piece of work, at most kBytePanels.
template <class X, class Rows, class Finish>
void multiply_int8(CpuContext& context, const WeightView& weight, const Rows& rows, int64_t panels_each,
                   const Finish& finish) {
  const Int8Shape shape = int8_shape(weight);
  int64_t together = static_cast<int64_t>(kSharedBytes) / shape.row_bytes();
  if (together > kByteRows) together -= together % kByteRows;
  const int64_t end = rows.begin(rows.matrices);
  for (int64_t first = rows.begin(0); first < end; first += together) {
    const int64_t last = std::min(first + together, end);
    for_rows(context, last - first, 4 * shape.inputs, [&](int64_t i) {
      quantise_int8<X>(rows.row_at(first + i), shape,
                       Int8Row(quantised_rows(context) + i * shape.row_bytes(), shape));
    });
    dispatch_format(weight.format, [&]<class Format>(Format) {
      if constexpr (!std::is_same_v<Format, Dense> && !std::is_same_v<Format, Fp8>) {
        multiply_quantised<Format::kCodes>(context, weight, shape, rows, first, last, panels_each, finish);
      }
    });
  }
}

}  // namespace warploop::cpu::WARPLOOP_ISA
