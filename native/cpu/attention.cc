// What:      out[r] = sum over visible j of softmax_j(scale * q[r] . k[j]) v[j];
//            lse[r] = log(sum of exp(scores))
// Steps:     1. verify the sequences and plan the items
//            2. run them (attention_item.h): for each tile of 64 keys pack K and V, then for each group of 6
//               rows S = Q K^T, online softmax, O = decay * O + P V; merge a span of 256 keys into the total
//            3. whoever finishes the last span of a sequence merges its spans
// Mapping:   the Lq * G query rows of a KV head (G = Hq / Hkv) form one matrix: K and V are packed once for
//            all heads that share them. A wide sequence (a prompt) is split into items of 128 rows of one KV
//            head, last rows first because they see most. A narrow one (Lq * Hq <= 128: decoding) has items
//            of all heads, so that a token's keys are read as one contiguous piece, one item per span while
//            their sums fit into the workspaces. Per thread: packed tile (32 KB for bf16, Dh 128) in L1/L2,
//            sums in L2; the next tile is fetched meanwhile.
// Numerics:  f32 sums. Tiles and spans start at multiples of 64 and 256 from the beginning of the sequence,
//            and every sum of a row runs in the same order whatever is computed with it: a row's result is
//            bit-identical for every batch, chunk and number of threads. bf16 q, k, v on AVX512-BF16:
//            products of bf16 pairs, probabilities rounded to bf16; codes, which are bf16 values, too. The
//            scale of a key is a factor of its score, that of a value one of its probability (of latents:
//            attention_latents.h). Rows that see
//            nothing: 0, lse -inf. A key that no row sees is not read, nor its page id. A mask selects: NaN
//            or infinity in a key or value that a row does not see leaves its bits as they are
//            (attention_item.h); what it sees shows.
// Source:    Dao: FlashAttention-2, arXiv 2307.08691, algorithm 1; pages: Kwon et al., arXiv 2309.06180,
//            equation 4; spans: Dao et al., Flash-Decoding, crfm.stanford.edu/2023/10/12/flashdecoding.html
#include "cpu/attention.h"

#include <atomic>

#include "cpu/attention_item.h"
#include "cpu/rows.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// How a sequence is split into items.
struct SequencePlan {
  int64_t first_item;
  int64_t first_part;  // number of its first span's parts
  int32_t spans;       // items that each leave the sums of a span; 0: its items finish their rows
  int32_t unfinished;  // spans that have not ended
};

/// The workspace of a thread: [AttentionWorkspace][plans, in thread 0's][parts of spans]
constexpr size_t kPlanBytes = kMaxAttentionSequences * sizeof(SequencePlan);
constexpr size_t kPartsAt = (sizeof(AttentionWorkspace) + kPlanBytes + 63) / 64 * 64;
static_assert(kPartsAt < kWorkspaceBytes);

class AttentionPlan {
 public:
  AttentionPlan(const AttentionProblem& p, const CpuContext& context)
      : p_(p),
        context_(context),
        heads_(p.k.size(2)),
        group_(p.q.size(1) / p.k.size(2)),
        plans_(
            reinterpret_cast<SequencePlan*>(context.workspace<std::byte>(0) + sizeof(AttentionWorkspace))) {
    if (!place_items(true)) place_items(false);
  }

  int64_t items() const { return items_; }
  /// Items that are worth waking a thread for.
  int64_t grain() const {
    return std::max<int64_t>(1, kGrainElements * items_ / std::max<int64_t>(cost_, 1));
  }

  /// Item `number` and its sequence.
  AttentionItem item(int64_t number, int64_t& b) const {
    const SequencePlan* next =
        std::upper_bound(plans_, plans_ + p_.num_sequences, number,
                         [](int64_t n, const SequencePlan& plan) { return n < plan.first_item; });
    b = next - plans_ - 1;
    const AttentionSequence s = p_.sequence(p_.source, b);
    const int64_t local = number - plans_[b].first_item, rows = s.num_queries * group_;
    if (is_narrow(s)) {
      AttentionItem whole = whole_sequence(b);
      if (plans_[b].spans == 0) return whole;
      const int64_t span = first_key(s) / kSpanKeys + local;
      whole.first_key = span * kSpanKeys;
      whole.last_key = whole.first_key + kSpanKeys;
      whole.partial = parts(b, local);
      return whole;
    }
    const int64_t first_row = local / heads_ * kItemRows;
    return {s, local % heads_, 1,      first_row, std::min<int64_t>(kItemRows, rows - first_row),
            0, s.num_keys,     nullptr};
  }

  /// All rows and heads of a narrow sequence.
  AttentionItem whole_sequence(int64_t b) const {
    const AttentionSequence s = p_.sequence(p_.source, b);
    return {s, 0, heads_, 0, s.num_queries * group_, 0, s.num_keys, nullptr};
  }

  int64_t spans(int64_t b) const { return plans_[b].spans; }
  float* parts(int64_t b, int64_t span) const {
    const int64_t number = plans_[b].first_part + span;
    std::byte* base = context_.workspace<std::byte>(static_cast<int>(number / slots_)) + kPartsAt;
    return reinterpret_cast<float*>(base) + number % slots_ * slot_floats_;
  }
  /// Notes the end of a span of sequence b; true for the last one.
  bool end_span(int64_t b) const { return std::atomic_ref(plans_[b].unfinished).fetch_sub(1) == 1; }

 private:
  bool is_narrow(const AttentionSequence& s) const { return s.num_queries * p_.q.size(1) <= kItemRows; }
  int64_t first_key(const AttentionSequence& s) const {
    return p_.window > 0 ? std::clamp<int64_t>(s.first_position - p_.window + 1, 0, s.num_keys) : 0;
  }

  /// Numbers the items of all sequences. False: `split` was asked for, and the parts of the spans do not fit.
  bool place_items(bool split) {
    int64_t rows = 0, num_parts = 0, part_rows = 0;
    items_ = cost_ = 0;
    for (int64_t b = 0; b < p_.num_sequences; b++) {
      const AttentionSequence s = p_.sequence(p_.source, b);
      const int64_t seen = s.num_queries > 0 ? s.num_keys - first_key(s) : 0;
      rows += s.num_queries;
      cost_ += (seen * (p_.k.size(3) + p_.v.size(3)) + s.num_queries * group_ * p_.q.size(2)) * heads_;
      SequencePlan& plan = plans_[b] = {items_, num_parts, 0, 0};
      if (s.num_queries == 0) continue;
      if (!is_narrow(s)) {
        items_ += (s.num_queries * group_ + kItemRows - 1) / kItemRows * heads_;
        continue;
      }
      const int64_t spans = (s.num_keys + kSpanKeys - 1) / kSpanKeys - first_key(s) / kSpanKeys;
      if (split && spans > 1) {
        plan.spans = plan.unfinished = static_cast<int32_t>(spans);
        num_parts += spans;
        part_rows = std::max(part_rows, s.num_queries * p_.q.size(1));
      }
      items_ += std::max<int64_t>(plan.spans, 1);
    }
    if (rows != p_.q.size(0)) fail_execution("the sequences have ", rows, " queries, q has ", p_.q.size(0));
    slot_floats_ = std::max<int64_t>(part_rows * part_floats(p_.v.size(3)), 1);
    slots_ = static_cast<int64_t>((kWorkspaceBytes - kPartsAt) / sizeof(float)) / slot_floats_;
    return num_parts <= slots_ * context_.pool().threads();
  }

  const AttentionProblem& p_;
  const CpuContext& context_;
  const int64_t heads_, group_;
  SequencePlan* plans_;
  int64_t items_ = 0, cost_ = 0;
  int64_t slots_ = 0;        // spans whose parts fit into one workspace
  int64_t slot_floats_ = 0;  // floats of the parts of one span
};

template <class Units, class T>
void run_items(const AttentionProblem& p, const AttentionPlan& plan, CpuContext& context) {
  parallel_for(context.pool(), plan.items(), plan.grain(), [&](int64_t begin, int64_t end, int thread) {
    auto& workspace = *context.workspace<AttentionWorkspace>(thread);
    for (int64_t i = begin; i < end; i++) {
      int64_t b;
      const AttentionItem item = plan.item(plan.items() - 1 - i, b);  // last rows first
      ItemKernel<Units, T>(p, item, workspace).run();
      if (item.partial && plan.end_span(b)) {
        const AttentionItem whole = plan.whole_sequence(b);
        ItemKernel<Units, T>(p, whole, workspace).finish_spans(plan.spans(b), [&](int64_t s) {
          return plan.parts(b, s);
        });
      }
    }
  });
}

}  // namespace

void attention(const AttentionProblem& p, CpuContext& context) {
  const AttentionPlan plan(p, context);
  const DType keys = p.rotated ? p.rotated.dtype : p.k.dtype;  // codes of latents are decoded to that
#if defined(__AVX512BF16__)
  if (p.q.dtype == DType::bf16) {
    if (keys == DType::bf16) return run_items<Bf16Units, bf16_t>(p, plan, context);
    if (keys == DType::i8) return run_items<Bf16Units, int8_t>(p, plan, context);
    if (keys == DType::fp8e4m3) return run_items<Bf16Units, fp8e4m3_t>(p, plan, context);
  }
#endif
  if (p.rotated) return run_items<F32Units, float>(p, plan, context);
  dispatch_pages(keys, [&]<class T>(T) { run_items<F32Units, T>(p, plan, context); });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
