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
#include "cpu/code_panels.h"
#include "cpu/cpu_context.h"
#include "cpu/int8_dot.h"
#include "cpu/int8_rows.h"
#include "cpu/rows.h"
#include "formats/formats.h"

namespace warploop::cpu::WARPLOOP_ISA {

inline constexpr int64_t kByteChunk = 512;  // inputs: two panels of them are 16 KiB
inline constexpr int64_t kByteRows = 96;    // of a piece; a multiple of every tile's rows
inline constexpr int64_t kBytePanels = 16;  // of a piece, at most; even: gate and up panels stay together
inline constexpr int kByteTileRows = kLanes == 16 ? 12 : 2;

/// Two panels of a chunk, unpacked.
struct ByteStrip {
  alignas(64) int8_t bytes[kByteChunk * 2 * kPanel];  // [k / 4][panel][16][4], with kByteBias
  alignas(64) float scales[kByteChunk / 16][2 * kPanel];
  alignas(64) float minima[kByteChunk / 16][2 * kPanel];
  alignas(64) int32_t zeros[kByteChunk / 16][2 * kPanel];  // where zero points are not in the bytes
};

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

/// What a tile reads beside the rows.
struct ByteTile {
  const ByteStrip* strip;
  int64_t first_dot, dots, steps;  // of the chunk; steps of four inputs in each integer sum
  int64_t last_steps;              // of its last one
  bool has_minima, has_zeros;
};

/// sums[MR][NT * 16], rows `stride` apart, += MR rows times NT panels of a chunk.
template <int MR, int NT>
void multiply_bytes(const ByteTile& t, const Int8Row* const* rows, int64_t first_input, float* sums,
                    int64_t stride) {
  constexpr int kVectors = NT * kPanelVectors;
  const int8_t* weights = t.strip->bytes;
  const int8_t* x[MR];
  for (int m = 0; m < MR; m++) x[m] = rows[m]->codes + first_input;
  for (int64_t dot = 0; dot < t.dots; dot++) {
    vi acc[MR][kVectors];
#pragma GCC unroll 12
    for (int m = 0; m < MR; m++) {
      const vi start = splat(rows[m]->starts[t.first_dot + dot]);
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) acc[m][v] = start;
    }
    const int64_t steps = dot + 1 == t.dots ? t.last_steps : t.steps;
    for (int64_t step = 0; step < steps; step++, weights += 4 * NT * kPanel) {
      vi w[kVectors];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) w[v] = load_as<vi>(weights + v * 4 * kLanes);
#pragma GCC unroll 12
      for (int m = 0; m < MR; m++) {
        const vi four = splat_four(x[m]);
        x[m] += 4;
#pragma GCC unroll 8
        for (int v = 0; v < kVectors; v++) acc[m][v] = add_dot(acc[m][v], w[v], four);
      }
    }
#pragma GCC unroll 12
    for (int m = 0; m < MR; m++) {
      const int64_t at = t.first_dot + dot;
      const float factor = rows[m]->factors[at];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; v++) {
        if (t.has_zeros) acc[m][v] -= load_as<vi>(t.strip->zeros[dot] + v * kLanes) * rows[m]->sums[at];
        float* to = sums + m * stride + v * kLanes;
        const vf part = __builtin_convertvector(acc[m][v], vf) * factor;
        vf sum = fused_multiply_add(part, load(t.strip->scales[dot] + v * kLanes), load(to));
        if (t.has_minima)
          sum =
              fused_multiply_add(load(t.strip->minima[dot] + v * kLanes), splat(-rows[m]->weighted[at]), sum);
        store(to, sum);
      }
    }
  }
}

template <int NT>
void multiply_byte_rows(int count, const ByteTile& t, const Int8Row* const* rows, int64_t first_input,
                        float* sums, int64_t stride) {
  if (count == 1) return multiply_bytes<1, NT>(t, rows, first_input, sums, stride);
  if constexpr (kByteTileRows == 2) {
    multiply_bytes<2, NT>(t, rows, first_input, sums, stride);
  } else {
    if (count == 2) return multiply_bytes<2, NT>(t, rows, first_input, sums, stride);
    if (count <= 4) return multiply_bytes<4, NT>(t, rows, first_input, sums, stride);
    if (count <= 6) return multiply_bytes<6, NT>(t, rows, first_input, sums, stride);
    multiply_bytes<12, NT>(t, rows, first_input, sums, stride);
  }
}

/// e2m1 codes, a byte each, as twice their value: 0 1 2 3 4 6 8 12 and their negatives, with the bias.
WARPLOOP_INLINE vu fp4_bytes(vu codes) {
  alignas(16) static constexpr int8_t kTwice[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const uint32_t kBias = kByteBias ? 0x80808080u : 0;
#if defined(__AVX512F__)
  const __m512i table = _mm512_broadcast_i32x4(load_as<__m128i>(kTwice));
  return reinterpret_cast<vu>(_mm512_shuffle_epi8(table, reinterpret_cast<__m512i>(codes))) ^ kBias;
#elif defined(__AVX2__)
  const __m256i table = _mm256_broadcastsi128_si256(load_as<__m128i>(kTwice));
  return reinterpret_cast<vu>(_mm256_shuffle_epi8(table, reinterpret_cast<__m256i>(codes))) ^ kBias;
#elif defined(__aarch64__)
  return reinterpret_cast<vu>(vqtbl1q_u8(load_as<uint8x16_t>(kTwice), reinterpret_cast<uint8x16_t>(codes))) ^
         kBias;
#endif
}

/// Four bytes of each lane: codes less zero points where these fit, with the bias.
template <Codes codes>
WARPLOOP_INLINE vu signed_bytes(vu word, vu zero) {
  constexpr uint32_t kSigns = 0x80808080u;
  if constexpr (codes == Codes::int8) return kByteBias ? word ^ kSigns : word;
  if constexpr (codes == Codes::fp4) return fp4_bytes(word);
  // Bytes of 0 to 15 less 0 to 15, without a borrow from their neighbours.
  const vu biased = (word | kSigns) - zero;
  return kByteBias ? biased : biased ^ kSigns;
}

/// Inputs [first, first + count) of one panel into its place in the strip, `NT` panels side by side.
template <Codes codes>
void unpack_bytes(const CodeWeight& w, const uint8_t* panel, int64_t first, int64_t count, int n, int num,
                  ByteStrip& strip) {
  constexpr bool kIsNibble = Quantised<codes>::kIsNibble;
  const int64_t group = w.group();
  PanelInts zeros = panel_zeros<codes>(w, panel, first / group);
  int64_t zeros_end = (first / group + 1) * group;
  int8_t* out = strip.bytes + n * 4 * kPanel;
  for (int64_t k = first; k < first + count; k += 4, out += num * 4 * kPanel) {
    if (codes == Codes::int4 && k >= zeros_end) {
      zeros = panel_zeros<codes>(w, panel, k / group);
      zeros_end += group;
    }
    const uint8_t* at = panel + w.at.codes + Quantised<codes>::code_at(0, k);
    for (int v = 0; v < kPanelVectors; v++) {
      vu word = load_as<vu>(at + v * 4 * kLanes);
      if constexpr (kIsNibble) word = (k % 32 >= 16 ? word >> 4 : word) & 0x0f0f0f0fu;
      const vu bytes = signed_bytes<codes>(word, load_as<vu>(&zeros.v[v]) * 0x01010101u);
      std::memcpy(out + v * 4 * kLanes, &bytes, sizeof bytes);
    }
  }
}

/// Scales, minima and zero points of the integer sums of a chunk.
template <Codes codes>
void unpack_numbers(const CodeWeight& w, const uint8_t* panel, const Int8Shape& shape, int64_t first,
                    int64_t dots, int n, ByteStrip& strip) {
  const int64_t group = w.group();
  for (int64_t dot = 0; dot < dots; dot++) {
    const int64_t g = std::min((first + dot * shape.dot) / group, w.at.groups - 1);
    float* scales = strip.scales[dot] + n * kPanel;
    panel_scales(w, panel, g, scales);
    if (codes == Codes::fp4) {
      for (int i = 0; i < kPanel; i++) scales[i] *= 0.5f;
    }
    if (w.has_minima()) panel_minima(w, panel, g, strip.minima[dot] + n * kPanel);
    if (codes != Codes::int8 || w.numbers.offset != OffsetType::zero) continue;
    const PanelInts zeros = panel_zeros<codes>(w, panel, g);
    std::memcpy(strip.zeros[dot] + n * kPanel, &zeros, sizeof zeros);
  }
}

/// One piece: rows times panels [first, first + panels), into scratch.sums [count][panels * 16].
template <Codes codes>
void multiply_piece(const CodeWeight& w, const Int8Shape& shape, std::byte* quantised, int64_t count,
                    int64_t first, int64_t panels, ByteScratch& scratch) {
  const int64_t stride = panels * kPanel;
  Int8Row rows[kByteRows];
  for (int64_t row = 0; row < count; row++) rows[row] = Int8Row(quantised + row * shape.row_bytes(), shape);
  std::fill_n(scratch.sums, count * stride, 0.0f);
  ByteStrip& strip = scratch.strip;
  for (int64_t panel = 0; panel < panels; panel += 2) {
    const int num = static_cast<int>(std::min<int64_t>(2, panels - panel));
    for (int64_t k = 0; k < w.inputs; k += kByteChunk) {
      const int64_t some = std::min(kByteChunk, Quantised<codes>::padded_inputs(w.inputs) - k);
      const int64_t dots = (some + shape.dot - 1) / shape.dot;
      for (int n = 0; n < num; n++) {
        unpack_bytes<codes>(w, w.panel(first + panel + n), k, some, n, num, strip);
        unpack_numbers<codes>(w, w.panel(first + panel + n), shape, k, dots, n, strip);
      }
      const ByteTile tile{&strip,
                          k / shape.dot,
                          dots,
                          shape.dot / 4,
                          (some - (dots - 1) * shape.dot) / 4,
                          w.has_minima(),
                          codes == Codes::int8 && w.numbers.offset == OffsetType::zero};
      for (int64_t row = 0; row < count; row += kByteTileRows) {
        const int some_rows = static_cast<int>(std::min<int64_t>(kByteTileRows, count - row));
        const Int8Row* at[kByteTileRows];
        for (int i = 0; i < kByteTileRows; i++) at[i] = rows + row + std::min(i, some_rows - 1);
        // Rows that only fill the tile add to sums of rows that are not there.
        float* sums = scratch.sums + row * stride + panel * kPanel;
        num == 1 ? multiply_byte_rows<1>(some_rows, tile, at, k, sums, stride)
                 : multiply_byte_rows<2>(some_rows, tile, at, k, sums, stride);
      }
    }
  }
  for (int64_t row = 0; row < count; row++) {
    const float scale = *rows[row].scale;
    for (int64_t i = 0; i < stride; i += kLanes) {
      float* to = scratch.sums + row * stride + i;
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
