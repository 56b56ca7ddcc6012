// What:      x W^T of a weight of codes (formats/quantised.h) for up to 16 rows of x: codes cross the memory
//            bus once, and become numbers only in registers
// Steps:     1. find the rows
//            2. every warp runs its own ring of cp.async copies: chunks of its weight rows, 16 bytes a lane,
//               their records, and x
//            3. codes become exact pairs of T, the A operand of mma (16 weight rows); x is B (8 columns)
//            4. where a part of a chunk ends, its sums times the scale are added up. Zero points and minima
//               are taken off there: times the sum of x, which a product with ones gives
//            5. the warps' sums side by side in shared memory, splits, epilogue (finish.cuh)
// Mapping:   as streaming.cuh; a step of a warp is a chunk (formats/coded_rows.h)
// Resources: in flight per SM: kBlocks x (kStages - 1) x kWarps x kColumns x 64 bytes of codes
// Cost:      N K codes and their records; x comes from L2, of int4 4 kRows / kColumns of the codes' bytes.
//            Instructions for each code: int4 1.4, int8 1.6, fp8 2, fp4 2
// Numerics:  codes are exact. Sums of a part are f32 without its scale, then scaled and added in f32. The
//            order over k depends on the splits, not on the run
// Limits:    as kAligned in tiles.cuh; kParts is what CodedRows::parts says
// Source:    scales behind the product as in DeepGEMM (https://github.com/deepseek-ai/DeepGEMM), the weights
//            as operand A as in Machete (https://github.com/vllm-project/vllm/pull/7174)
#pragma once
#include "cuda/gemm/coded_weight.cuh"
#include "cuda/gemm/streaming.cuh"

namespace warploop::cuda {

template <Codes codes, int kParts_, int kRows_, int kColumns_, int kWarps_, int kStages_, int kBlocks_>
struct CodedShape {
  static constexpr Codes kCodes = codes;
  static constexpr int kParts = kParts_;
  static constexpr int kRows = kRows_, kColumns = kColumns_, kWarps = kWarps_, kStages = kStages_;
  static constexpr int kBlocks = kBlocks_;  // per SM that an H200 holds
  static constexpr int kThreads = kWarps * kWarpSize;
  static constexpr int kChunk = CodedRows::chunk_codes(codes), kSubs = kChunk / 32;
  static constexpr int kStepDepth = kChunk * kWarps;
  static constexpr int kMinSteps = 1;
  static constexpr int kWeights = kColumns / 8, kXs = kRows / 8;
  using Sums = SumsLayout<kRows, kColumns, kColumns + 4, kWarps>;  // + 4: a fragment falls into all banks
};

template <class Shape>
struct CodedPlan {
  struct Stage {
    uint4 codes[Shape::kWeights][kWarpSize];
    uint4 x[Shape::kXs][Shape::kSubs][kWarpSize];  // of 32 inputs: eight rows of 64 bytes
    uint32_t records[Shape::kColumns][CodedRows::kRecordWords];
  };
  union {
    alignas(128) Stage ring[Shape::kStages][Shape::kWarps];
    float sums[Shape::kWarps][Shape::kRows * Shape::Sums::kStride];
  };
  bool is_last;
};

/// What one lane copies of a warp's stages.
template <class Shape>
struct CodedLoader {
  const uint16_t* x[Shape::kXs];
  bool x_exists[Shape::kXs];
  const std::byte* codes;    // the lane's piece of the first chunk
  const std::byte* records;  // of the first row
  int rows_left;             // rows of the weight from the block's first on

  template <bool kGrouped>
  WARPLOOP_DEVICE void start(const Product& p, const CodedWeight& weight, const RowBlock& rows,
                             int64_t first_column) {
    const int g = lane_index() / 4;
#pragma unroll
    for (int i = 0; i < Shape::kXs; i++) {
      const int64_t row = source_row<kGrouped>(p, rows, i * 8 + g);
      x_exists[i] = row >= 0;
      x[i] = head_of_x<uint16_t>(p) + (row >= 0 ? row * p.x_stride : 0);
    }
    const int64_t left = weight.rows - first_column;
    rows_left = static_cast<int>(left < Shape::kColumns ? left : Shape::kColumns);
    const std::byte* const first = weight.row(rows.group, first_column);
    codes = first + g * weight.row_bytes + lane_index() % 4 * CodedRows::kPieceBytes;
    records = first + weight.records();
  }

  WARPLOOP_DEVICE void load(typename CodedPlan<Shape>::Stage& stage, const Product& p,
                            const CodedWeight& weight, int chunk) const {
    const int lane = lane_index(), k = chunk * Shape::kChunk + lane % 4 * 8;
    const bool exists = chunk < weight.chunks;
#pragma unroll
    for (int i = 0; i < Shape::kWeights; i++) {
      copy_async_16(shared_address(&stage.codes[i][lane]),
                    codes + int64_t{i} * 8 * weight.row_bytes + int64_t{chunk} * CodedRows::kChunkBytes,
                    exists && i * 8 < rows_left);
    }
#pragma unroll
    for (int i = 0; i < Shape::kXs; i++) {
#pragma unroll
      for (int sub = 0; sub < Shape::kSubs; sub++) {
        const int at = k + sub * 32;
        copy_async_16(shared_address(&stage.x[i][sub][lane]), x[i] + at, at < p.K && x_exists[i]);
      }
    }
#pragma unroll 1
    for (int row = lane; row < Shape::kColumns; row += kWarpSize) {
      const std::byte* const record =
          records + int64_t{row} * weight.row_bytes + int64_t{chunk} * weight.record.bytes;
#pragma unroll
      for (int word = 0; word < CodedRows::kRecordWords; word++) {
        if (word * 4 < weight.record.bytes)
          copy_async_4(shared_address(&stage.records[row][word]), record + word * 4,
                       exists && row < rows_left);
      }
    }
  }
};

/// The sums of one warp: kColumns weight rows times kRows rows of x.
template <class T, class Shape>
struct CodedProduct {
  static constexpr Codes kCodes = Shape::kCodes;
  static constexpr int kMs = Shape::kColumns / 16, kXs = Shape::kXs, kParts = Shape::kParts;
  static constexpr int kSteps = 2 * Shape::kSubs, kStepsOfPart = kSteps / kParts;  // of mma
  static constexpr float kAdded = added_to_codes(kCodes);
  using Stage = typename CodedPlan<Shape>::Stage;

  float sums[kMs][kXs][4] = {};

  WARPLOOP_DEVICE void multiply(const Stage& stage, const CodedWeight& weight) {
    const int lane = lane_index();
    uint2 x[kSteps][kXs];
#pragma unroll
    for (int step = 0; step < kSteps; step++) {
#pragma unroll
      for (int i = 0; i < kXs; i++) x[step][i] = piece_of_x(stage.x[i][step / 2], step % 2);
    }
    float xs[kParts][kXs][2] = {};
    if (weight.numbers.offset != OffsetType::none) add_up(x, xs);
#pragma unroll
    for (int m = 0; m < kMs; m++) {
      const uint4 low = stage.codes[2 * m][lane], high = stage.codes[2 * m + 1][lane];
      float part[kXs][4] = {};
#pragma unroll
      for (int step = 0; step < kSteps; step++) {
        uint32_t a[4], b[4];
        unpack_codes<T, kCodes>(low, step / 2, a);
        unpack_codes<T, kCodes>(high, step / 2, b);
        const int i = step % 2 * 2;
        const uint32_t rows[4] = {a[i], b[i], a[i + 1], b[i + 1]};
#pragma unroll
        for (int j = 0; j < kXs; j++) mma_m16n8k16<T>(part[j], rows, x[step][j].x, x[step][j].y);
        if ((step + 1) % kStepsOfPart == 0)
          add_part(weight, &stage.records[m * 16], step / kStepsOfPart, xs[step / kStepsOfPart], part,
                   sums[m]);
      }
    }
  }

 private:
  /// What the lane has of operand B: inputs 4t to 4t + 3 of a step of 16, of row g.
  static WARPLOOP_DEVICE uint2 piece_of_x(const uint4 (&rows)[kWarpSize], int step) {
    const int g = lane_index() / 4, t = lane_index() % 4;
    return reinterpret_cast<const uint2*>(rows)[g * 8 + step * 4 + t];
  }

  /// xs = the sums of x over each part, of columns 2t and 2t + 1
  static WARPLOOP_DEVICE void add_up(const uint2 (&x)[kSteps][kXs], float (&xs)[kParts][kXs][2]) {
    constexpr uint32_t kOne = std::is_same_v<T, bf16> ? 0x3f803f80u : 0x3c003c00u;
    const uint32_t ones[4] = {kOne, kOne, kOne, kOne};
#pragma unroll
    for (int part = 0; part < kParts; part++) {
#pragma unroll
      for (int i = 0; i < kXs; i++) {
        float sum[4] = {};
#pragma unroll
        for (int step = 0; step < kStepsOfPart; step++) {
          const uint2 piece = x[part * kStepsOfPart + step][i];
          mma_m16n8k16<T>(sum, ones, piece.x, piece.y);
        }
        xs[part][i][0] = sum[0];
        xs[part][i][1] = sum[1];
      }
    }
  }

  /// sums += scale part - (scale (zero + kAdded) + minimum) xs, and part = 0
  static WARPLOOP_DEVICE void add_part(const CodedWeight& weight,
                                       const uint32_t (*records)[CodedRows::kRecordWords], int index,
                                       const float (&xs)[kXs][2], float (&part)[kXs][4],
                                       float (&out)[kXs][4]) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const auto* record = reinterpret_cast<const uint8_t*>(records[half * 8 + lane_index() / 4]);
      const PartScale s = part_scale<kCodes>(weight, record, index);
      const float taken_off = s.scale * (s.zero + kAdded) + s.minimum;
#pragma unroll
      for (int i = 0; i < kXs; i++) {
#pragma unroll
        for (int j = 0; j < 2; j++) {
          float& sum = out[i][2 * half + j];
          sum = fmaf(-taken_off, xs[i][j], fmaf(s.scale, part[i][2 * half + j], sum));
          part[i][2 * half + j] = 0;
        }
      }
    }
  }
};

template <class T, class Shape, bool kGrouped>
__global__ void __launch_bounds__(Shape::kThreads, Shape::kBlocks)
    multiply_coded(const __grid_constant__ Product p, const __grid_constant__ CodedWeight weight) {
  auto& plan = shared_plan<CodedPlan<Shape>>();
  const TilePlace at = tile_place(p);
  const int64_t first_column = static_cast<int64_t>(at.column) * Shape::kColumns;
  const Steps steps = split_steps((weight.chunks + Shape::kWarps - 1) / Shape::kWarps, p, at);
  wait_for_predecessors();
  // 1. the rows
  if constexpr (kGrouped) check_groups(p);
  const RowBlock rows = find_rows<kGrouped, Shape::kRows>(p, at.row);
  if (rows.count == 0) return;  // beyond the last group's rows

  // 2. the ring
  const int warp = warp_index();
  CodedLoader<Shape> loader;
  loader.template start<kGrouped>(p, weight, rows, first_column);
  const auto chunk_of = [&](int step) { return (steps.begin + step) * Shape::kWarps + warp; };
#pragma unroll
  for (int step = 0; step < Shape::kStages - 1; step++) {
    if (step < steps.count) loader.load(plan.ring[step][warp], p, weight, chunk_of(step));
    copy_async_commit();
  }
  CodedProduct<T, Shape> product;
  int stage = 0, last_stage = Shape::kStages - 1;  // the one before `stage`, which is filled next
  for (int step = 0; step < steps.count; step++) {
    copy_async_wait<Shape::kStages - 2>();
    sync_warp();  // lanes read what others have copied, and all have read what is filled next
    const int next = step + Shape::kStages - 1;
    if (next < steps.count) loader.load(plan.ring[last_stage][warp], p, weight, chunk_of(next));
    copy_async_commit();
    product.multiply(plan.ring[stage][warp], weight);  // 3. and 4.
    last_stage = stage;
    stage = stage + 1 == Shape::kStages ? 0 : stage + 1;
  }
  copy_async_wait<0>();
  sync_block();

  // 5. the result
  store_fragments<Shape>(product.sums, plan.sums[warp]);
  sync_block();
  finish_tile<typename Shape::Sums, Shape::kThreads>(p, at, rows, first_column, plan.sums[0], plan.is_last);
}

}  // namespace warploop::cuda
