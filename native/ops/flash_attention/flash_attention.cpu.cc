// What:      out[i, h] = softmax over the visible keys j of (scale * q[i, h] . k[j, h']) times v[j, h'],
//            h' = h * Hkv / Hq
// Steps:     verify where each sequence lies; the rest is cpu/attention.cc, with every key a page of its own
// Source:    Dao: FlashAttention-2, arXiv 2307.08691
#include "ops/flash_attention/flash_attention.h"

#include "core/attention_limits.h"
#include "core/error.h"
#include "cpu/attention.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

struct Range {
  int64_t first, count;
};

/// Rows [cu[b], cu[b + 1]) of a tensor of `rows` rows; all of them without cu.
Range sequence_rows(const TensorView& cu, int64_t b, int64_t rows, const char* name) {
  if (!cu) return {0, rows};
  const int64_t first = cu.as<int32_t>()[b], end = cu.as<int32_t>()[b + 1];
  if (first < 0 || end < first || end > rows) {
    fail_execution(name, "[", b, "..", b + 1, "] = ", first, ", ", end, " is no range within [0, ", rows,
                   ")");
  }
  return {first, end - first};
}

AttentionSequence sequence(const void* source, int64_t b) {
  const auto& p = *static_cast<const FlashAttentionParams*>(source);
  const Range queries = sequence_rows(p.cu_seqlens_q, b, p.q.size(0), "cuSeqlensQ");
  const Range keys = sequence_rows(p.cu_seqlens_k, b, p.k.size(0), "cuSeqlensK");
  return {queries.first, queries.count, keys.count, keys.count - queries.count, nullptr, keys.first};
}

}  // namespace

void flash_attention(const FlashAttentionParams& p, CpuContext& context) {
  AttentionProblem problem{};
  problem.q = p.q;
  problem.k = as_pages(p.k);
  problem.v = as_pages(p.v);
  problem.out = p.out;
  problem.lse = p.lse;
  problem.sinks = p.sinks;
  problem.tree_mask = p.tree_mask;
  problem.block_mask = rows_of_heads(p.block_mask);
  problem.scale = p.scale;
  problem.softcap = p.softcap;
  problem.window = p.window;
  problem.causal = p.causal;
  problem.num_sequences = p.cu_seqlens_q ? p.cu_seqlens_q.size(0) - 1 : 1;
  problem.source = &p;
  problem.sequence = sequence;
  attention(problem, context);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
