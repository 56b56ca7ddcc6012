// What:      rows of stored codes at their places in a packed weight: codes, scales and offsets as they are
//            (formats/coded_rows.h), or their values (formats/dense.h); zeros where the whole matrix has no
//            such row or input, and nothing where a row belongs to another part
// Steps:     1. where the row comes from   2. its element, or a word of codes or of a record
//            (cuda/device/stored.cuh)   3. store
// Mapping:   grid = elements, or words, of the panels that get rows / 256
// Resources: no shared memory
// Cost:      at load only: bytes of the rows; scales come from the cache
// Numerics:  as of dequantize. NaN is an execution error
#include "ops/pack_stored/pack_stored.h"

#include "cuda/device/stored.cuh"
#include "cuda/device/vectors.cuh"
#include "cuda/gemm/coded_weight.cuh"

namespace warploop::cuda {

namespace {

struct PackWork {
  StoredSource source;
  PartOfWeight part;
  Rows out;
  VectorGrid grid;     // of the panels that get rows
  int64_t packed_row;  // the first of them
  int64_t inputs;
};

template <class Format>
__global__ void __launch_bounds__(kVectorThreads) pack_stored_kernel(const __grid_constant__ PackWork p) {
  wait_for_predecessors();
  for_vectors<1>(
      p.grid,
      [&](int, const RowPlace& place, int64_t k) {
        const int64_t i = p.part.source_row(p.packed_row + place.outer[2]);  // 1.
        if (i == PartOfWeight::kOthers) return;
        float value[1] = {0};
        if (i >= 0 && k < p.inputs) {
          const int64_t row = stored_row(p.source, i);
          if (row >= 0) value[0] = stored_element<Format>(p.source, row, k);  // 2.
        }
        store_floats(p.out, offset_of(p.out, place) + k, value);  // 3.
      },
      [](int) {});
}

struct CodePackWork {
  StoredSource source;
  PartOfWeight part;
  CodedWeight weight;
  std::byte* out;
  int64_t packed_row, rows;  // those that get rows
  FaultSite mixed_fault;
};

/// Verifies that input j is of the group that the weight counts it to, and finds it.
template <class Format>
WARPLOOP_DEVICE StoredPlace place_in_group(const CodePackWork& p, int64_t row, int64_t j) {
  const int64_t each = p.weight.numbers.group == 0 ? p.weight.K : p.weight.numbers.group;
  const StoredPlace at = stored_place<Format>(p.source, row, j);
  const StoredPlace first = stored_place<Format>(p.source, row, j / each * each);
  if (at.k < 0 || first.k < 0 || at.group == first.group) return at;
  const int64_t begin = j / each * each, end = begin + each < p.weight.K ? begin + each : p.weight.K;
  raise_fault(p.mixed_fault, begin, end - 1, row);
  return {-1, 0};
}

/// Word number word of the codes of a chunk.
template <class Format>
WARPLOOP_DEVICE uint32_t code_word(const CodePackWork& p, int64_t row, int64_t chunk, int word) {
  constexpr Codes codes = Format::kCodes;
  constexpr int kWords = CodedRows::words(codes), kChunk = CodedRows::chunk_codes(codes);
  const int t = word / 4, sub = word % 4 / kWords;
  uint32_t bits = 0;
#pragma unroll
  for (int e = 0; e < 8; e++) {
    const CodedRows::Place slot = CodedRows::place(codes, e);
    const int64_t j = chunk * kChunk + CodedRows::input(sub, t, e);
    if (slot.word != word % kWords || j >= p.weight.K) continue;
    const StoredPlace at = place_in_group<Format>(p, row, j);
    if (at.k < 0) return 0;
    const auto code = static_cast<uint32_t>(stored_code<Format>(p.source, row, at.k));
    bits |= (code & (kWords == 1 ? 15u : 255u)) << slot.shift;
  }
  return bits;
}

/// Byte number byte of the record of a chunk.
template <class Format>
WARPLOOP_DEVICE uint32_t record_byte(const CodePackWork& p, int64_t row, int64_t chunk, int byte) {
  const CodedWeight& w = p.weight;
  const StoredData& s = p.source.data;
  const int chunk_codes = CodedRows::chunk_codes(Format::kCodes);
  const auto scale = static_cast<int>(scale_bytes(w.numbers.scale));
  const auto offset = static_cast<int>(offset_bytes(w.numbers.offset));
  const bool is_scale = byte < w.record.offsets, is_outer = byte >= w.record.outer_scale;
  const int behind = is_scale ? byte : byte - w.record.offsets, size = is_scale ? scale : offset;
  const int part = is_outer || size == 0 ? 0 : behind / size;
  const int64_t j = chunk * chunk_codes + part * (chunk_codes / w.parts);
  if (part >= w.parts || j >= w.K) return 0;
  const StoredPlace at = stored_place<Format>(p.source, row, j);
  if (at.k < 0) return 0;
  uint32_t bits = 0;
  int shift = size == 0 ? 0 : behind % size;
  if (is_outer) {
    if constexpr (requires { &Format::outer_factor; }) {
      if (byte < w.record.outer_offset) bits = Format::outer_factor(s, row, at.group);
      shift = byte - w.record.outer_scale;
    }
    if constexpr (requires { &Format::outer_minimum; }) {
      if (byte >= w.record.outer_offset) {
        bits = Format::outer_minimum(s, row, at.group);
        shift = byte - w.record.outer_offset;
      }
    }
    if (shift > 1) return 0;  // what fills the last word
  } else if (is_scale) {
    if constexpr (requires { &Format::outer_factor; }) {
      bits = static_cast<uint32_t>(Format::inner_factor(s, row, at.group));
    } else {
      bits = Format::factor_bits(s, row, at.group);
    }
  } else if constexpr (requires { &Format::outer_minimum; }) {
    bits = static_cast<uint32_t>(Format::inner_minimum(s, row, at.group));
  } else if constexpr (Format::kHasMinimum) {
    bits = Format::minimum_bits(s, row, at.group);
  } else if (w.numbers.offset == OffsetType::zero) {
    bits = static_cast<uint32_t>(Format::zero(s, row, at.group));
  }
  return bits >> (8 * shift) & 255u;
}

template <class Format>
__global__ void __launch_bounds__(kVectorThreads) pack_codes_kernel(const __grid_constant__ CodePackWork p) {
  wait_for_predecessors();
  constexpr int kCodeWords = CodedRows::kChunkBytes / 4;
  const CodedWeight& w = p.weight;
  const int64_t index = static_cast<int64_t>(blockIdx.x) * kVectorThreads + threadIdx.x;
  const int64_t words = w.row_bytes / 4, local = index / words, word = index % words;
  if (local >= p.rows) return;
  const int64_t i = p.part.source_row(p.packed_row + local);  // 1.
  if (i == PartOfWeight::kOthers) return;
  const int64_t row = i < 0 ? -1 : stored_row(p.source, i);
  const int64_t record_word = word - int64_t{w.chunks} * kCodeWords, each = w.record.bytes / 4;
  uint32_t bits = 0;
  if (row >= 0 && record_word < 0) {  // 2.
    bits = code_word<Format>(p, row, word / kCodeWords, static_cast<int>(word % kCodeWords));
  } else if (row >= 0 && record_word < w.chunks * each) {
#pragma unroll
    for (int b = 0; b < 4; b++) {
      const auto byte = static_cast<int>(record_word % each) * 4 + b;
      bits |= record_byte<Format>(p, row, record_word / each, byte) << (8 * b);
    }
  }
  *reinterpret_cast<uint32_t*>(p.out + local * w.row_bytes + word * 4) = bits;  // 3.
}

void pack_codes(const PackStoredParams& p, CudaContext& context) {
  const PartOfWeight::Range range = p.part().panels();
  const CodedWeight weight = coded_weight(p.out);
  const int64_t first = range.first * Panels::kPanelRows;
  const CodePackWork work{
      stored_source(p.stored, OpId::pack_stored, context),
      p.part(),
      weight,
      p.out.data.as<std::byte>() + first * weight.row_bytes,
      first,
      (range.end - range.first) * Panels::kPanelRows,
      context.fault_site(OpId::pack_stored,
                         "inputs {value} to {limit} of stored row {index} have scales of several groups")};
  const int64_t words = work.rows * weight.row_bytes / 4;
  const dim3 grid(static_cast<unsigned>((words + kVectorThreads - 1) / kVectorThreads));
  dispatch_stored(p.stored.format, [&]<class Format>(Format) {
    launch<pack_codes_kernel<Format>>(context, {grid, kVectorThreads}, work);
  });
}

}  // namespace

void pack_stored(const PackStoredParams& p, CudaContext& context) {
  const PartOfWeight::Range range = p.part().panels();
  if (range.first == range.end) return;
  if (p.out.format != WeightFormat::dense) return pack_codes(p, context);
  const int64_t packed_row = range.first * Panels::kPanelRows;
  TensorView out = p.out.data;  // the panels that get rows, as plain rows
  out.rank = 2;
  out.sizes[0] = (range.end - range.first) * Panels::kPanelRows;
  out.sizes[1] = p.out.data.size(2);
  out.strides[0] = out.sizes[1];
  out.strides[1] = 1;
  out.data = out.as<std::byte>() + bytes_of(out.dtype, static_cast<size_t>(packed_row * out.sizes[1]));
  const PackWork work{stored_source(p.stored, OpId::pack_stored, context),
                      p.part(),
                      rows_of(out),
                      vector_grid(shape_of(out), 1),
                      packed_row,
                      p.out.inputs};
  dispatch_stored(p.stored.format, [&]<class Format>(Format) {
    launch<pack_stored_kernel<Format>>(context, launch_shape<1>(work.grid.total), work);
  });
}

}  // namespace warploop::cuda
