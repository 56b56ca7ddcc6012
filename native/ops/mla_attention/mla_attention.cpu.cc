// What:      out[i, h] = softmax over the visible tokens j of (scale * q[i, h] . c[j]) times c[j, 0 .. R),
//            where the latent c[j] of sequence b lies in page pageTable[rows[b], j / Ps] at offset j % Ps
// Steps:     as paged_attention's with one KV head for all query heads, whose values are the first columns of
//            its keys: cpu/attention.cc. With indices each query is a sequence of the tokens chosen for it
// Mapping:   up to 8 rows (heads times queries) of a sequence walk over the latents as they lie, more over a
//            tile of 64 that is packed once for all of them
// Cost:      decoding: each latent once from memory, (R + Dr) elements per token, and 2 Hq (2 R + Dr) flop.
//            Chosen tokens: the same for each query by itself, of topK tokens
// Numerics:  as paged_attention's; latents as codes: cpu/attention_latents.h. A query with indices of all
//            tokens that it sees, in order, has the bits that it has without indices
// Source:    DeepSeek-AI: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C
#include "ops/mla_attention/mla_attention.h"

#include "cpu/attention.h"
#include "cpu/chosen_queries.h"
#include "cpu/paged_sequences.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// Rows [first, first + count) of a tensor, which may be absent.
TensorView rows_of(const TensorView& t, int64_t first, int64_t count) {
  TensorView rows = t;
  if (t) rows.data = t.as<std::byte>() + bytes_of(t.dtype, first * t.stride(0));
  rows.sizes[0] = count;
  return rows;
}

/// Queries [first, first + problem.q.size(0)).
struct QueryRange {
  const ChosenQueries<MlaAttentionParams>& queries;
  int64_t first;

  static AttentionSequence sequence(const void* source, int64_t b) {
    const auto& range = *static_cast<const QueryRange*>(source);
    AttentionSequence s = range.queries.query(range.first + b);
    s.first_query = b;
    return s;
  }
};

/// As many queries at a time as attention takes sequences.
void attend_to_chosen(const MlaAttentionParams& p, AttentionProblem& problem, CpuContext& context) {
  const ChosenQueries queries(p, p.latent_pages.size(1));
  const int64_t T = p.q.size(0);
  for (int64_t first = 0; first < T; first += kMaxAttentionSequences) {
    const int64_t count = std::min(T - first, kMaxAttentionSequences);
    const QueryRange range{queries, first};
    problem.q = rows_of(p.q, first, count);
    problem.lse = rows_of(p.lse, first, count);
    problem.out = rows_of(p.out, first, count);
    problem.num_sequences = count;
    problem.source = &range;
    problem.sequence = QueryRange::sequence;
    attention(problem, context);
  }
}

}  // namespace

void mla_attention(const MlaAttentionParams& p, CpuContext& context) {
  AttentionProblem problem{};
  problem.q = p.q;
  problem.k = latent_columns(p.latent_pages, p.latent_pages.size(2));
  problem.v = latent_columns(p.latent_pages, p.out.size(2));
  problem.latent = true;
  problem.k_scales = p.latent_scales;
  if (p.rotated_pages) problem.rotated = latent_columns(p.rotated_pages, p.rotated_pages.size(2));
  problem.lse = p.lse;
  problem.out = p.out;
  problem.scale = p.scale;
  problem.causal = true;
  if (p.indices) return attend_to_chosen(p, problem, context);
  const PagedSequences sequences(p, problem);
  attention(problem, context);
}

}  // namespace warploop::cpu::WARPLOOP_ISA
