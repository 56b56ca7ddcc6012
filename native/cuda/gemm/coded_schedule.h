// Host side of the products of weights of codes: which kernels there are, and weights as numbers for those
// that read no codes.
#pragma once
#include "cuda/gemm/coded_streaming.cuh"
#include "cuda/gemm/schedule.h"
#include "cuda/gemm/unpack_rows.cuh"
#include "formats/formats.h"

namespace warploop::cuda {

inline bool is_coded(const WeightView& weight) { return weight.format != WeightFormat::dense; }

/// Why multiply_coded has no instance for a weight of codes; null: it has one.
inline const char* refuse_coded(const WeightView& weight) {
  const CodedWeight w = coded_weight(weight);
  if (w.record.bytes > CodedRows::kRecordWords * 4) return "scales and offsets of a chunk exceed a record";
  const bool is_made = w.codes == Codes::int4   ? w.parts <= 4
                       : w.codes == Codes::int8 ? true
                       : w.codes == Codes::fp4  ? w.parts == 4
                                                : w.parts == 1;
  return is_made ? nullptr : "no kernel for groups of so few codes";
}

/// Calls fn(CodedKind<codes, parts>{}) with what refuse_coded lets pass.
template <Codes codes_, int parts_>
struct CodedKind {
  static constexpr Codes codes = codes_;
  static constexpr int parts = parts_;
};
template <class Fn>
void dispatch_coded(const CodedWeight& w, const Fn& fn) {
  switch (w.codes) {
    case Codes::int4:
      return w.parts == 1 ? fn(CodedKind<Codes::int4, 1>{}) : fn(CodedKind<Codes::int4, 4>{});
    case Codes::int8:
      if (w.parts == 1) return fn(CodedKind<Codes::int8, 1>{});
      return w.parts == 2 ? fn(CodedKind<Codes::int8, 2>{}) : fn(CodedKind<Codes::int8, 4>{});
    case Codes::fp4:
      return fn(CodedKind<Codes::fp4, 4>{});
    case Codes::fp8:
      return fn(CodedKind<Codes::fp8, 1>{});
  }
}

// The shapes, rows x columns. At most 99 KiB of shared memory, which every GPU from sm_80 on has.
template <class Kind>
using Coded8x64 = CodedShape<Kind::codes, Kind::parts, 8, 64, 4, 3, 2>;
template <class Kind>
using Coded16x64 = CodedShape<Kind::codes, Kind::parts, 16, 64, 4, 2, 2>;
static_assert(sizeof(CodedPlan<Coded8x64<CodedKind<Codes::int4, 1>>>) <= kMostShared &&
              sizeof(CodedPlan<Coded16x64<CodedKind<Codes::int4, 1>>>) <= kMostShared);

/// Runs `p`, whose weight is `weight`; x is bf16 or f16.
template <bool kGrouped, template <class> class Shape>
void launch_coded(Product p, const WeightView& weight, DType x, const CudaContext& context) {
  const CodedWeight w = coded_weight(weight);
  dispatch_coded(w, [&]<class Kind>(Kind) {
    using S = Shape<Kind>;
    p.padded_K = w.chunks * S::kChunk;
    const LaunchShape shape = schedule<S, CodedPlan<S>>(p, context);
    x == DType::bf16 ? launch<multiply_coded<bf16, S, kGrouped>>(context, shape, p, w)
                     : launch<multiply_coded<f16, S, kGrouped>>(context, shape, p, w);
  });
}

/// Dense copies of parts of a weight of codes in the workspace, one at a time, and the context of the product
/// that reads them: the rest of the workspace.
class UnpackedWeight {
 public:
  UnpackedWeight(const WeightView& weight, DType dtype, const CudaContext& context)
      : weight_(weight), dtype_(dtype), context_(context), rest_(context), started_(context.note.launches) {}

  /// How many rows of a matrix one copy holds: whole pairs of panels, those of one matrix at most.
  int64_t most_rows() const {
    const int64_t rows = weight_.data.size(1), fit = room() / row_bytes() / kUnit * kUnit;
    return std::min(rows, std::max(fit, kUnit));
  }
  /// How many whole matrices one copy holds; at least one.
  int64_t most_matrices() const {
    const int64_t fit = room() / (row_bytes() * weight_.data.size(1));
    return std::min(weight_.data.size(0), std::max<int64_t>(fit, 1));
  }

  /// Packed rows [first, end) of matrices [matrix, last): of several, all rows.
  WeightView copy(int64_t matrix, int64_t last, int64_t first, int64_t end) {
    const int64_t rows = (last - matrix) * (end - first), pitch = Dense::row_pitch(dtype_, weight_.inputs);
    TensorView out{};
    out.dtype = dtype_;
    out.rank = 2;
    out.sizes[0] = rows;
    out.sizes[1] = pitch;
    out.sizes[2] = out.sizes[3] = 1;
    out.strides[0] = pitch;
    out.strides[1] = 1;
    Workspace workspace(context_, "a weight of codes does not fit into the workspace as numbers");
    out.data = workspace.take<std::byte>(rows * row_bytes());
    unpack_rows(weight_, matrix * weight_.data.size(1) + first, out, nullptr, {}, context_);
    const int64_t used = context_.workspace_bytes - workspace.left();
    rest_.workspace = context_.workspace + used;
    rest_.workspace_bytes = workspace.left();
#ifdef WARPLOOP_SIMT
    rest_.keeps_parts = true;
#endif
    return dense_view(out, last - matrix, first, end);
  }

  CudaContext& rest() { return rest_; }
  /// Counts the launches of the products on `rest` to those of the op.
  void count_launches() const { context_.note.launches += rest_.note.launches - started_; }

 private:
  static constexpr int64_t kUnit = 2 * Panels::kPanelRows;
  static constexpr int64_t kForSplits = 16 << 20;  // of the workspace

  int64_t row_bytes() const {
    return static_cast<int64_t>(
        bytes_of(dtype_, static_cast<size_t>(Dense::row_pitch(dtype_, weight_.inputs))));
  }
  int64_t room() const { return std::max<int64_t>(context_.workspace_bytes - kForSplits, 0); }

  WeightView dense_view(const TensorView& rows, int64_t matrices, int64_t first, int64_t end) const {
    WeightView w = weight_;
    w.format = WeightFormat::dense;
    w.numbers = {};
    w.data = rows;
    w.data.rank = 3;
    w.data.sizes[0] = matrices;
    w.data.sizes[1] = end - first;
    w.data.sizes[2] = rows.sizes[1];
    w.data.strides[0] = (end - first) * rows.sizes[1];
    w.data.strides[1] = rows.sizes[1];
    w.data.strides[2] = 1;
    const int64_t halves = weight_.swiglu ? 2 : 1;
    w.outputs = halves * (std::min(weight_.outputs / halves, end / halves) - first / halves);
    return w;
  }

  const WeightView& weight_;
  const DType dtype_;
  const CudaContext& context_;
  CudaContext rest_;
  const uint32_t started_;  // launches before the op
};

}  // namespace warploop::cuda
