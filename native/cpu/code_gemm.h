// Products with weights of codes whose activations are floats: codes become numbers of 16 bits, which is
// exact, and meet x in the tiles of cpu/gemm.h.
//
//     out = sum over pieces of inputs: (sum over the piece of x (code - zero)) scale - (sum of x) minimum
//
// A piece is a group of inputs, or kChunk of them where groups are longer. Sums of a piece are f32 and run as
// those of a dense product; pieces are added in order. All of it depends on K and the format alone: a row's
// result is bit by bit the same in whatever call.
//
// Order of work: kChunk inputs, then two panels of them, unpacked into L1, then all rows of the block.
#pragma once
#include "cpu/code_panels.h"
#include "formats/formats.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int64_t kChunk = 256;      // inputs: two panels of them are 16 KiB
inline constexpr int64_t kCodeRows = 96;    // a multiple of every tile's rows
inline constexpr int64_t kCodePanels = 16;  // even: gate and up panels stay together

/// Scratch of a thread.
template <class X, class W>
struct CodeScratch {
  alignas(64) W strip[kTilePanels * kChunk * kPanel];
  alignas(64) float sums[kCodeRows * kCodePanels * kPanel];
  float row_sums[kCodeRows][kChunk / 16];      // of x, for minima
  X rows[kCodeRows][kChunk + 64 / sizeof(X)];  // apart from one another (separate_rows)
};

/// Sum of n elements.
template <class X>
float sum_of(const X* x, int64_t n) {
  vf sum{};
  for_lanes(n, [&](int64_t i, int m) { sum += load_some(x + i, m); });
  return reduce_add(sum);
}

/// Inputs of a chunk that share a scale: [begin, end), counted in the chunk.
struct Piece {
  int64_t begin, end, group;
};
template <class Body>
void for_pieces(const CodeWeight& w, int64_t first, int64_t count, const Body& body) {
  const int64_t group = w.group();
  int64_t index = 0;
  for (int64_t k = first; k < first + count; index++) {
    const int64_t end = std::min((k / group + 1) * group, first + count);
    body(index, Piece{k - first, end - first, k / group});
    k = end;
  }
}

/// Whether rows take codes as they lie: one alone, for which writing their numbers down costs more than its
/// product. Not where sums are those of the dot-product unit: they would be others.
constexpr bool take_codes_as_they_lie(int64_t num_rows) { return kLanes < 16 && num_rows == 1; }

/// As multiply_rows with one row, x of a piece, and codes instead of a strip: the same sums.
template <Codes codes, class X, int NT>
void multiply_codes_as_they_lie(const CodeWeight& w, int64_t panel, int64_t first, int64_t count, const X* x,
                                float* out) {
  constexpr bool kIsNibble = Quantised<codes>::kIsNibble;
  constexpr int kVectors = NT * kPanelVectors;
  vi zeros[kVectors];
  const uint8_t* from[kVectors];
  for (int n = 0; n < NT; n++) {
    const PanelInts own = panel_zeros<codes>(w, w.panel(panel + n), first / w.group());
    for (int v = 0; v < kPanelVectors; v++) {
      zeros[n * kPanelVectors + v] = own.v[v];
      from[n * kPanelVectors + v] = w.panel(panel + n) + w.at.codes + v * 4 * kLanes;
    }
  }
  vf acc[kVectors] = {};
  for (int64_t k = 0; k < count; k += 4) {
    const int64_t at = Quantised<codes>::code_at(0, first + k);
    const int shift = kIsNibble && (first + k) % 32 >= 16 ? 4 : 0;
    vu words[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; v++) {
      const bool begins_line = v * 4 * kLanes % 64 == 0;
      if (begins_line) __builtin_prefetch(from[v] + at + kFetchAhead, 0, 2);
      words[v] = load_as<vu>(from[v] + at);
      if constexpr (kIsNibble) words[v] = words[v] >> shift & 0x0f0f0f0fu;
    }
#pragma GCC unroll 4
    for (int byte = 0; byte < 4; byte++) {
      if (k + byte >= count) break;
      const vf a = splat(to_float(x[k + byte]));
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; v++) acc[v] += a * byte_number<codes>(words[v], byte, zeros[v]);
    }
  }
  for (int v = 0; v < kVectors; v++) store(out + v * kLanes, acc[v]);
}

/// One piece of NT unpacked panels times all rows, added to their sums.
template <Codes codes, class X, class W, int NT>
void add_piece(const CodeWeight& w, int64_t first, const Piece& piece, int64_t index, int64_t panel,
               int64_t num_rows, const X* const* rows, int64_t row_stride, CodeScratch<X, W>& scratch,
               float* sums) {
  alignas(64) float scales[NT * kPanel], minima[NT * kPanel];
  for (int n = 0; n < NT; n++) {
    panel_scales(w, w.panel(panel + n), piece.group, scales + n * kPanel);
    if (w.has_minima()) panel_minima(w, w.panel(panel + n), piece.group, minima + n * kPanel);
  }
  alignas(64) float tile[kTileRows * kTilePanels * kPanel];
  for (int64_t row = 0; row < num_rows; row += kTileRows) {
    const int count = static_cast<int>(std::min<int64_t>(kTileRows, num_rows - row));
    const X* at[kTileRows];
    for (int i = 0; i < kTileRows; i++) at[i] = rows[row + std::min(i, count - 1)] + piece.begin;
    if (take_codes_as_they_lie(num_rows))
      multiply_codes_as_they_lie<codes, X, NT>(w, panel, first + piece.begin, piece.end - piece.begin, at[0],
                                               tile);
    else
      multiply_rows<X, W, NT>(count, at, scratch.strip + piece.begin * kPanel, kChunk * kPanel,
                              piece.end - piece.begin, tile);
    for (int i = 0; i < count; i++) {
      const float row_sum = scratch.row_sums[row + i][index];
      float* to = sums + (row + i) * row_stride;
      for (int v = 0; v < NT * kPanel; v += kLanes) {
        vf sum = load(to + v) + load(tile + i * NT * kPanel + v) * load(scales + v);
        if (w.has_minima()) sum -= load(minima + v) * row_sum;
        store(to + v, sum);
      }
    }
  }
}

/// Adds the products of one chunk, inputs [first, first + count), to the sums of all panels and rows.
template <Codes codes, class X, class W>
void add_chunk(const CodeWeight& w, int64_t first, int64_t count, int64_t first_panel, int64_t num_panels,
               int64_t num_rows, const X* const* rows, CodeScratch<X, W>& scratch) {
  if (w.has_minima()) {
    for (int64_t row = 0; row < num_rows; row++) {
      for_pieces(w, first, count, [&](int64_t index, const Piece& piece) {
        scratch.row_sums[row][index] = sum_of(rows[row] + piece.begin, piece.end - piece.begin);
      });
    }
  }
  for (int64_t panel = 0; panel < num_panels; panel += kTilePanels) {
    const int64_t some = std::min<int64_t>(kTilePanels, num_panels - panel), at = first_panel + panel;
    for (int64_t n = 0; n < some && !take_codes_as_they_lie(num_rows); n++)
      unpack_panel<codes>(w, w.panel(at + n), first, first + count, scratch.strip + n * kChunk * kPanel);
    float* sums = scratch.sums + panel * kPanel;
    for_pieces(w, first, count, [&](int64_t index, const Piece& piece) {
      const int64_t stride = num_panels * kPanel;
      some == 1 ? add_piece<codes, X, W, 1>(w, first, piece, index, at, num_rows, rows, stride, scratch, sums)
                : add_piece<codes, X, W, kTilePanels>(w, first, piece, index, at, num_rows, rows, stride,
                                                      scratch, sums);
    });
  }
}

/// As multiply_block (cpu/gemm.h), with a weight of codes. `workspace`: of the thread.
template <Codes codes, class X, class RowAt, class Finish>
void multiply_codes(int64_t num_rows, const RowAt& row_at, const CodeWeight& w, int64_t first, int64_t last,
                    std::byte* workspace, const Finish& finish) {
  using W = std::conditional_t<std::is_same_v<X, f16_t>, f16_t, bf16_t>;
  static_assert(sizeof(CodeScratch<X, W>) <= kWorkspaceBytes);
  auto& scratch = *reinterpret_cast<CodeScratch<X, W>*>(workspace);
  const X* rows[kCodeRows];
  for (int64_t row = 0; row < num_rows; row += kCodeRows) {
    const int64_t count = std::min(kCodeRows, num_rows - row);
    for (int64_t panel = first; panel < last; panel += kCodePanels) {
      const int64_t panels = std::min(kCodePanels, last - panel);
      std::fill_n(scratch.sums, count * panels * kPanel, 0.0f);
      for (int64_t k = 0; k < w.inputs; k += kChunk) {
        const int64_t some = std::min(kChunk, w.inputs - k);
        for (int64_t i = 0; i < count; i++) {
          rows[i] = scratch.rows[i];
          std::memcpy(scratch.rows[i], row_at(row + i) + k, some * sizeof(X));
        }
        add_chunk<codes>(w, k, some, panel, panels, count, rows, scratch);
      }
      finish(row, static_cast<int>(count), panel, static_cast<int>(panels), scratch.sums);
    }
  }
}

/// multiply_block for a weight in any format: matrix `matrix` of it times rows of x.
template <class X, class RowAt, class Finish>
void multiply_weight(int64_t num_rows, const RowAt& row_at, const WeightView& weight, int64_t matrix,
                     int64_t first, int64_t last, std::byte* workspace, const Finish& finish) {
  dispatch_format(weight.format, [&]<class Format>(Format) {
    if constexpr (!std::is_same_v<Format, Dense>) {
      multiply_codes<Format::kCodes, X>(num_rows, row_at, code_weight<Format>(weight, matrix), first, last,
                                        workspace, finish);
    } else {
      dispatch_float(weight.data.dtype, [&]<class W>(W) {
        if constexpr (std::is_same_v<X, W> || std::is_same_v<X, float>) {
          const W* data = weight.data.as<W>() + matrix * weight.data.stride(0);
          multiply_block<X, W>(num_rows, row_at, data, weight.inputs, first, last,
                               reinterpret_cast<X*>(workspace), finish);
        }
      });
    }
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
