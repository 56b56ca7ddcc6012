// What:      one token per row; the order of the steps is the contract (lib/ops/sample.ts spells it out)
// Steps:     1. mask: forbidden tokens become -inf
//            2. bias; suppressed tokens become -inf below the row's least length
//            3. penalties of the tokens in the pool
//            4. block maxima
//            5. temperature 0: argmax
//            6. top-k, min-p, top-p: each shortens the prefix of the ranking that is kept
//            7. draw
// Mapping:   rows are dealt to threads; the processed row (V floats) streams through L2 once per step
// Numerics:  f32 logits; the temperature enters only as exp((l - max) / temperature), so small ones cannot
//            overflow. Probabilities are summed in double in the order of the tokens: a row's result depends
//            on that row alone. NaN counts as -inf and +inf as the largest finite number; -inf is never
//            chosen; a row without a choice gives 0.
// Source:    Gumbel-max: A* Sampling, arXiv 1411.0030, section 2; top-p: arXiv 1904.09751;
//            min-p: arXiv 2407.01082; repetition penalty: CTRL, arXiv 1909.05858, section 4.1
#include "ops/sample/sample.h"

#include "core/error.h"
#include "cpu/rows.h"
#include "ops/sample/sample.cutoff.h"
#include "ops/sample/sample.draw.h"

namespace warploop::cpu::WARPLOOP_ISA {

namespace {

/// The parameters of one row.
struct RowOptions {
  const float* floats;
  const int32_t* ints;
  int32_t position;
  float operator[](SampleFloat column) const { return floats[static_cast<int>(column)]; }
  int32_t operator[](SampleInt column) const { return ints[static_cast<int>(column)]; }
};

/// 1. The logits as f32, padded with -inf to whole blocks; those without their bit in `mask` are -inf. Tells
/// whether any logit, allowed or not, is NaN or +inf.
template <class X>
bool copy_allowed(const X* logits, int64_t V, const int32_t* mask, float* values, int64_t padded) {
  vi odd{};
  for_lanes(V, [&](int64_t v, int n) {
    const vf value = load_some(logits + v, n);
    odd |= ~(value < splat(kInf));
    store_some(values + v, value, n);
  });
  std::fill(values + V, values + padded, -kInf);
  if (!mask) return any(odd);
  for (int64_t word = 0; word * 32 < V; word++) {
    const uint32_t bits = static_cast<uint32_t>(mask[word]);
    if (bits == 0xffffffffu) continue;
    float* chunk = values + word * 32;  // a block is a multiple of 32: the last word ends inside the padding
    for (int i = 0; i < 32; i++) chunk[i] = bits >> i & 1 ? chunk[i] : -kInf;
  }
  return any(odd);
}

/// 2.
void add_bias(const SampleParams& p, int64_t b, float* values) {
  const int64_t V = p.logits.size(1), Nb = p.bias_ids.size(1);
  const int32_t* ids = p.bias_ids.as<int32_t>() + b * Nb;
  const float* bias = p.bias_values.as<float>() + b * Nb;
  for (int64_t n = 0; n < Nb; n++) {
    if (ids[n] == -1) continue;
    if (ids[n] < 0 || ids[n] >= V)
      fail_execution("biasIds[", b, ", ", n, "] = ", ids[n], " is outside [0, V=", V, ")");
    values[ids[n]] += bias[n];
  }
}

/// 2. The position of the token to come is how long the row is.
void suppress(const SampleParams& p, int64_t b, const RowOptions& options, float* values) {
  if (options.position >= options[SampleInt::min_length]) return;
  const int64_t V = p.logits.size(1), Ns = p.suppressed_ids.size(1);
  const int32_t* ids = p.suppressed_ids.as<int32_t>() + b * Ns;
  for (int64_t n = 0; n < Ns; n++) {
    if (ids[n] == -1) continue;
    if (ids[n] < 0 || ids[n] >= V)
      fail_execution("suppressedIds[", b, ", ", n, "] = ", ids[n], " is outside [0, V=", V, ")");
    values[ids[n]] = -kInf;
  }
}

/// 3. Each distinct token of the pool row is penalised once. `counts` is cleared where it is used, not as a
/// whole.
void penalize(const SampleParams& p, int64_t b, const RowOptions& options, float* values) {
  const float repetition = options[SampleFloat::repetition_penalty];
  const float presence = options[SampleFloat::presence_penalty],
              frequency = options[SampleFloat::frequency_penalty];
  const int64_t row = options[SampleInt::pool_row], length = options.position;
  if (row == -1) return;
  const int64_t R = p.token_pool ? p.token_pool.size(0) : 0;
  if (row < 0 || row >= R) fail_execution("poolRow of row ", b, " = ", row, " is outside [-1, R=", R, ")");
  if (length < 0 || length > p.token_pool.size(1)) {
    fail_execution("positions[", b, "] = ", length, " is outside [0, L=", p.token_pool.size(1), "]");
  }
  if (repetition == 1 && presence == 0 && frequency == 0) return;

  const int64_t V = p.logits.size(1), prompt = options[SampleInt::prompt_length];
  const int32_t* tokens = row_at<int32_t>(p.token_pool, row);
  int32_t* counts = p.counts.as<int32_t>() + b * V;
  const auto known = [V](int32_t token) { return token >= 0 && token < V; };
  for (int64_t i = 0; i < length; i++) {
    if (known(tokens[i])) counts[tokens[i]] = 0;
  }
  for (int64_t i = std::max<int64_t>(prompt, 0); i < length; i++) {
    if (known(tokens[i])) counts[tokens[i]]++;
  }
  for (int64_t i = 0; i < length; i++) {
    if (!known(tokens[i]) || counts[tokens[i]] < 0) continue;
    int32_t& count = counts[tokens[i]];
    float& logit = values[tokens[i]];
    logit = logit > 0 ? logit / repetition : logit * repetition;
    if (count > 0) logit -= presence + frequency * static_cast<float>(count);
    count = -1;  // done
  }
}

/// 4. Also makes the values comparable: no NaN, no +inf, no -0.
LogitRow summarize(float* values, int64_t blocks, float temperature) {
  const vf largest = splat(std::numeric_limits<float>::max());
  LogitRow row{values, values + blocks * kSampleBlock, blocks, -kInf, 0};
  for (int64_t b = 0; b < blocks; b++) {
    vf highest = splat(-kInf);
    for (int64_t i = b * kSampleBlock; i < (b + 1) * kSampleBlock; i += kLanes) {
      vf v = load(values + i);
      v = min(v == v ? v : splat(-kInf), largest) + 0.0f;
      store(values + i, v);
      highest = max(highest, v);
    }
    row.maxima[b] = reduce_max(highest);
    row.highest = std::max(row.highest, row.maxima[b]);
  }
  row.inverse_temperature = std::min(1.0f / temperature, std::numeric_limits<float>::max());
  return row;
}

/// 5. The first token that has the highest logit.
int32_t first_highest(const LogitRow& row) {
  const int64_t b = std::find(row.maxima, row.maxima + row.blocks, row.highest) - row.maxima;
  const float* values = row.block(b);
  return static_cast<int32_t>(std::find(values, values + kSampleBlock, row.highest) - row.values);
}

/// 6.
Cutoff filter(const LogitRow& row, const RowOptions& options, double* mass) {
  Cutoff kept{-kInf, -1};
  const int32_t top_k = options[SampleInt::top_k];
  const float min_p = options[SampleFloat::min_p], top_p = options[SampleFloat::top_p];
  if (top_k > 0) kept = CutoffSearch(row, Weigh::ones, mass).shorten(enclose_best(row, top_k), top_k);
  if (min_p > 0) {
    // p >= min_p * pmax, in logits; the best token always stays.
    const double lowest =
        row.highest + std::log(std::min<double>(min_p, 1)) * options[SampleFloat::temperature];
    const float value = static_cast<float>(lowest);
    if (value > kept.value) kept = {value, std::numeric_limits<int32_t>::max()};
  }
  if (top_p < 1) {
    const Enclosure enclosure = enclose_share(row, kept, top_p);
    kept = CutoffSearch(row, Weigh::probabilities, mass).shorten(enclosure.kept, enclosure.wanted);
  }
  return kept;
}

int32_t choose(const LogitRow& row, const RowOptions& options, double* mass) {
  if (row.highest == -kInf) return 0;
  const float temperature = options[SampleFloat::temperature];
  if (!(temperature > 0)) return first_highest(row);
  const Cutoff kept = filter(row, options, mass);
  const DrawKey key{static_cast<uint32_t>(options[SampleInt::seed_low]),
                    static_cast<uint32_t>(options[SampleInt::seed_high]),
                    static_cast<uint32_t>(options.position)};
  return Draw(row, temperature, key).among(kept);  // 7.
}

}  // namespace

void sample(const SampleParams& p, CpuContext& context) {
  const int64_t B = p.logits.size(0), V = p.logits.size(1), width = p.processed.size(1);
  const int64_t blocks = width / (kSampleBlock + 1);
  dispatch_float(p.logits.dtype, [&]<class X>(X) {
    const int64_t grain = std::max<int64_t>(1, kGrainElements / (8 * V));
    parallel_for(context.pool(), B, grain, [&](int64_t begin, int64_t end, int thread) {
      for (int64_t b = begin; b < end; b++) {
        const RowOptions options{p.floats.as<float>() + b * static_cast<int64_t>(SampleFloat::count),
                                 p.ints.as<int32_t>() + b * static_cast<int64_t>(SampleInt::count),
                                 p.positions.as<int32_t>()[b]};
        const int32_t* mask = p.bitmask ? row_at<int32_t>(p.bitmask, b) : nullptr;
        float* values = p.processed.as<float>() + b * width;
        const bool odd = copy_allowed(row_at<X>(p.logits, b), V, mask, values, blocks * kSampleBlock);
        if (p.bias_ids) add_bias(p, b, values);
        if (p.suppressed_ids) suppress(p, b, options, values);
        penalize(p, b, options, values);
        const LogitRow row = summarize(values, blocks, options[SampleFloat::temperature]);
        p.out.as<int32_t>()[b] = choose(row, options, context.workspace<double>(thread));
        if (p.status) {
          p.status.as<RowStatus>()[b] = odd                    ? RowStatus::not_finite
                                        : row.highest == -kInf ? RowStatus::no_choice
                                                               : RowStatus::ok;
        }
      }
    });
  });
}

}  // namespace warploop::cpu::WARPLOOP_ISA
