// How a weight of codes lies in the memory of a GPU: rows in the order of panels (formats/panels.h), each of
//
//   chunks   of 64 bytes: 128 codes of 4 bits or 64 of 8. Lane t of four has piece t, 16 bytes: of every 32
//            inputs codes 4t to 4t + 3 and 16 + 4t to 16 + 4t + 3, which two steps of mma want of it; eight
//            codes lie so that neighbours are 16 bits apart, in the halves of a pair
//   records  one for each chunk, of whole words: the scales of its parts, their zero points or minima, and
//            the outer scales and minima. A part is 16, 32 or all inputs of a chunk: what always lies in one
//            group
//
// Inputs beyond K have codes and scales of 0.
#pragma once
#include "formats/stored_view.h"
#include "formats/weight_view.h"

namespace warploop {

constexpr bool has_two_levels(ScaleType t) { return t == ScaleType::f16u8 || t == ScaleType::f16s8; }
constexpr int64_t scale_bytes(ScaleType t) {
  if (t == ScaleType::f32) return 4;
  return t == ScaleType::f16 || t == ScaleType::bf16 ? 2 : 1;
}
constexpr int64_t offset_bytes(OffsetType t) {
  if (t == OffsetType::none) return 0;
  return t == OffsetType::min ? 2 : 1;
}

struct CodedRows {
  static constexpr int kChunkBytes = 64, kPieceBytes = 16, kRecordWords = 5;  // of the longest record

  /// Words of 32 bits that hold eight codes.
  static constexpr int words(Codes codes) { return codes == Codes::int4 || codes == Codes::fp4 ? 1 : 2; }
  static constexpr int chunk_codes(Codes codes) { return words(codes) == 1 ? 128 : 64; }
  static constexpr int64_t chunks(Codes codes, int64_t inputs) {
    return (inputs + chunk_codes(codes) - 1) / chunk_codes(codes);
  }

  /// A word, and the lowest bit of a code in it.
  struct Place {
    int word, shift;
  };
  /// Of code e of eight.
  static constexpr Place place(Codes codes, int e) {
    if (words(codes) == 1) return {0, e / 2 * 4 + e % 2 * 16};
    return {e / 4, e % 4 / 2 * 8 + e % 2 * 16};
  }
  /// Which input of a chunk is code e of eight: the sub-th 32 of lane t.
  static constexpr int input(int sub, int t, int e) { return sub * 32 + e / 4 * 16 + t * 4 + e % 4; }

  static constexpr int parts(Codes codes, int64_t group, int64_t inputs) {
    const int chunk = chunk_codes(codes);
    if (group == 0 || group >= inputs || group % chunk == 0) return 1;
    return group % 32 == 0 ? chunk / 32 : chunk / 16;
  }

  /// Where things begin in a record, in bytes.
  struct Record {
    int offsets, outer_scale, outer_offset, bytes;
  };
  static constexpr Record record(const FormatNumbers& n, int parts) {
    Record r{};
    r.offsets = parts * static_cast<int>(scale_bytes(n.scale));
    r.outer_scale = (r.offsets + parts * static_cast<int>(offset_bytes(n.offset)) + 1) / 2 * 2;
    r.outer_offset = r.outer_scale + 2 * has_two_levels(n.scale);
    r.bytes = (r.outer_offset + 2 * (n.offset == OffsetType::f16u8) + 3) / 4 * 4;
    return r;
  }

  static constexpr int64_t row_bytes(Codes codes, int64_t inputs, const FormatNumbers& n) {
    const int64_t bytes =
        chunks(codes, inputs) * (kChunkBytes + record(n, parts(codes, n.group, inputs)).bytes);
    return (bytes + 15) / 16 * 16;
  }
};

}  // namespace warploop
