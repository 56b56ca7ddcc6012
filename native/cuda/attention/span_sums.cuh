// The sums of 16 rows of a warp at the end of a span: they are added to those of the spans before, which wait
// in global memory, those of a group to those of the groups before, and after the last span they leave the
// block, as results or into the pool (merge.cuh).
//
// Fragments as in tile.cuh: lane (g = lane / 4, t = lane % 4) holds the rows g and g + 8, in o[n] the columns
// 8 n + 2 t, + 1 of both, counted from the first of kDv columns of a value. That is also how the sums of a
// warpgroup lie (device/wgmma.cuh).
#pragma once
#include "cuda/attention/exact.cuh"
#include "cuda/attention/queue.cuh"

namespace warploop::cuda {

template <int kDv, int kThreads>
class SpanSums {
 public:
  using Sums = float[kDv / 8][4];
  static constexpr int kKept =
      (kDv / 8 + 1) * kThreads;  // float4 that a block keeps for 16 rows of each warp

  /// `first_row`: of the 16, in the tile. `kept`: where this thread's sums wait in plan.totals and in
  /// plan.group_totals, kThreads apart. `first_column`: of those that the warp has.
  WARPLOOP_DEVICE SpanSums(const AttentionProblem& p, const AttentionPlan& plan, const AttentionItem& item,
                           int head, int first_row, int kept, int first_column = 0)
      : p_(p),
        plan_(plan),
        item_(item),
        head_(head),
        first_row_(first_row),
        first_column_(first_column),
        kept_(kept) {}

  /// `total`: the state of both rows over the span, then over what has been added. Returns the rows whose
  /// results hidden values have spoilt, one bit each.
  WARPLOOP_DEVICE uint32_t close(RowState (&total)[2], Sums& o, const SpanEnd& end) const {
    if (end.earlier_spans) add_earlier(plan_.totals + kept_, total, o);
    if (end.group && end.earlier_groups) {
      keep(plan_.totals + kept_, total, o);
      add_group(plan_.group_totals + kept_, plan_.totals + kept_);
      load(plan_.totals + kept_, total, o);
    }
    if (end.final) {
      store(total, o);
      return find_spoilt(total, o);
    }
    keep((end.group ? plan_.group_totals : plan_.totals) + kept_, total, o);
    return 0;
  }

 private:
  static constexpr int kStates = kDv / 8 * kThreads;

  WARPLOOP_DEVICE static void add_earlier(const float4* earlier, RowState (&total)[2], Sums& o) {
    const RowState part[2] = {total[0], total[1]};
    MergeFactors f[2];
    const float4 states = earlier[kStates];
    total[0] = {states.x, states.y};
    total[1] = {states.z, states.w};
#pragma unroll
    for (int h = 0; h < 2; h++) f[h] = merge_states(total[h], part[h]);
#pragma unroll
    for (int n = 0; n < kDv / 8; n++) {
      const float4 kept = earlier[n * kThreads];
      o[n][0] = fmaf(o[n][0], f[0].added, kept.x * f[0].kept);
      o[n][1] = fmaf(o[n][1], f[0].added, kept.y * f[0].kept);
      o[n][2] = fmaf(o[n][2], f[1].added, kept.z * f[1].kept);
      o[n][3] = fmaf(o[n][3], f[1].added, kept.w * f[1].kept);
    }
  }

  /// sums = earlier + sums, in memory: there are no registers for both.
  WARPLOOP_DEVICE static void add_group(const float4* earlier, float4* sums) {
    const float4 before = earlier[kStates], states = sums[kStates];
    RowState upper{before.x, before.y}, lower{before.z, before.w};
    const MergeFactors f = merge_states(upper, {states.x, states.y}),
                       g = merge_states(lower, {states.z, states.w});
    sums[kStates] = make_float4(upper.max, upper.sum, lower.max, lower.sum);
#pragma unroll 2
    for (int n = 0; n < kDv / 8; n++) {
      const float4 a = earlier[n * kThreads], b = sums[n * kThreads];
      sums[n * kThreads] = make_float4(fmaf(b.x, f.added, a.x * f.kept), fmaf(b.y, f.added, a.y * f.kept),
                                       fmaf(b.z, g.added, a.z * g.kept), fmaf(b.w, g.added, a.w * g.kept));
    }
  }
  WARPLOOP_DEVICE static void load(const float4* from, RowState (&total)[2], Sums& o) {
    const float4 states = from[kStates];
    total[0] = {states.x, states.y};
    total[1] = {states.z, states.w};
#pragma unroll
    for (int n = 0; n < kDv / 8; n++) {
      const float4 sums = from[n * kThreads];
      o[n][0] = sums.x, o[n][1] = sums.y, o[n][2] = sums.z, o[n][3] = sums.w;
    }
  }

  WARPLOOP_DEVICE static void keep(float4* to, const RowState (&total)[2], const Sums& o) {
    to[kStates] = make_float4(total[0].max, total[0].sum, total[1].max, total[1].sum);
#pragma unroll
    for (int n = 0; n < kDv / 8; n++) to[n * kThreads] = make_float4(o[n][0], o[n][1], o[n][2], o[n][3]);
  }

  WARPLOOP_DEVICE void store(const RowState (&total)[2], const Sums& o) const {
    const int g = lane_index() / 4, t = lane_index() % 4,
              width = static_cast<int>(p_.v.sizes[3]) - first_column_;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      const int row = first_row_ + g + 8 * h;
      if (row >= item_.num_rows) continue;
      if (t == 0 && first_column_ == 0) store_state(p_, plan_, item_, head_, row, total[h]);
      if (item_.part >= 0) {
        float* to = pool_row(p_, plan_, item_, head_, row, item_.index) + first_column_;
#pragma unroll
        for (int n = 0; n < kDv / 8; n++) {
          const float2 pair = make_float2(o[n][2 * h], o[n][2 * h + 1]);
          if (n * 8 < width) *reinterpret_cast<float2*>(to + n * 8 + 2 * t) = pair;
        }
        continue;
      }
      RowState end = total[h];
      const float factor = finish_sums(p_, plan_, item_, head_, row, end);
      const int64_t at = row_offset(p_.out, item_, plan_.group, head_, item_.first_row + row) + first_column_;
#pragma unroll
      for (int n = 0; n < kDv / 8; n++) {
        if (n * 8 >= width) continue;
        store_results(p_.out, at + n * 8 + 2 * t, o[n][2 * h] * factor, o[n][2 * h + 1] * factor);
      }
    }
  }

  WARPLOOP_DEVICE uint32_t find_spoilt(const RowState (&total)[2], const Sums& o) const {
    uint32_t spoilt = 0;
#pragma unroll
    for (int h = 0; h < 2; h++) {
      if (first_row_ + lane_index() / 4 + 8 * h >= item_.num_rows) continue;
      float zero = 0;  // NaN as soon as a sum is none or infinite
#pragma unroll
      for (int n = 0; n < kDv / 8; n++) {
        zero = fmaf(o[n][2 * h], 0.0f, fmaf(o[n][2 * h + 1], 0.0f, zero));
      }
      if (!is_finite(zero) && is_finite(total[h].sum)) spoilt |= 1u << h;
    }
    return spoilt;
  }

  const AttentionProblem& p_;
  const AttentionPlan& plan_;
  const AttentionItem& item_;
  const int head_, first_row_, first_column_;
  const int kept_;
};

}  // namespace warploop::cuda
