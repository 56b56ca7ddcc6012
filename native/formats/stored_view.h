// Weights as checkpoints store them: the list of stored formats, and a view of rows in one of them.
#pragma once
#include "core/tensor_view.h"

/// The only list of stored formats. One row each: name, and the struct that reads it (formats/stored.h).
/// lib/ops/storedRows.ts has the same order.
#define WARPLOOP_STORED_FORMATS(FORMAT) \
  FORMAT(int8, StoredInt8)              \
  FORMAT(fp8, StoredFp8)                \
  FORMAT(packed4, StoredPacked4)        \
  FORMAT(packed8, StoredPacked8)        \
  FORMAT(gptq4, StoredGptq4)            \
  FORMAT(gptq8, StoredGptq8)            \
  FORMAT(awq4, StoredAwq4)              \
  FORMAT(mxfp4, StoredMxfp4)            \
  FORMAT(q8_0, StoredQ8_0)              \
  FORMAT(q4_0, StoredQ4_0)              \
  FORMAT(q4_1, StoredQ4_1)              \
  FORMAT(q5_0, StoredQ5_0)              \
  FORMAT(q5_1, StoredQ5_1)              \
  FORMAT(q4_k, StoredQ4K)               \
  FORMAT(q5_k, StoredQ5K)               \
  FORMAT(q6_k, StoredQ6K)               \
  FORMAT(mxfp4_gguf, StoredMxfp4Gguf)

namespace warploop {

enum class StoredFormat : uint8_t {
#define WARPLOOP_STORED(name, Name) name,
  WARPLOOP_STORED_FORMATS(WARPLOOP_STORED)
#undef WARPLOOP_STORED
};
#define WARPLOOP_STORED(name, Name) +1
inline constexpr int kStoredFormatCount = 0 WARPLOOP_STORED_FORMATS(WARPLOOP_STORED);
#undef WARPLOOP_STORED

/// What codes are: signed bytes, nibbles 0 to 15, e2m1 nibbles, e4m3 bytes.
enum class Codes : uint8_t { int8, int4, fp4, fp8 };

/// Some rows and some inputs of a stored matrix [N, K]. Rows and inputs have two numbers: where they are
/// stored, and where the caller counts them.
struct StoredView {
  TensorView codes;       // bytes as in the file, contiguous, of stored rows [first_row, first_row + some)
  TensorView scales;      // [ceil(N / scale_rows), groups], gptq and awq [groups, N]; none in GGUF
  TensorView zeros;       // optional: words as in the file, or i8 of int8
  TensorView row_order;   // [rows] i32, optional: the stored row of each row
  TensorView k_order;     // [K] i32, optional: the stored input of each input
  TensorView g_idx;       // [K] i32, optional: the group of each stored input
  int64_t stored_rows;    // N
  int64_t stored_inputs;  // K
  int64_t group;          // inputs that share a scale; 0: all of a row
  int64_t scale_rows;     // rows that share a scale
  int64_t first_row;      // stored row that `codes` begins with
  int64_t rows;           // of the caller
  int64_t first_input;    // of the caller, counted behind k_order
  int64_t inputs;         // of the caller
  int32_t add_to_zeros;   // to zero points of gptq4 and gptq8, modulo 16 and 256: 1 of version 1 files
  StoredFormat format;

  constexpr int64_t groups() const { return group == 0 ? 1 : (stored_inputs + group - 1) / group; }
};

}  // namespace warploop
