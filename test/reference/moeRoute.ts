/**
 * Choice of K experts per token and their weights.
 *   score[e]  = softmax(logits)[e] over all E experts, or sigmoid(logits[e])
 *   choice[e] = score[e] + bias[e]           (the bias balances load; it never enters a weight)
 * With groups > 1 the experts form `groups` equal runs; a group scores the sum of its two best choices (its only one in
 * groups of one), or with groupBest 1 its best one, and only experts of the topGroups best groups can be chosen. The K best choices win, best first; equal
 * choices, and equal groups, are taken by lower index. weight = score, renormalised to sum 1 if asked (scores that
 * sum to 0 stay 0), times scale.
 *
 * Source: DeepSeek-AI, "DeepSeek-V3 Technical Report" (arXiv 2412.19437), equations 12 to 16 and section 2.1.2; groups by their best expert: DeepSeek-V2
 * (arXiv 2405.04434), section 2.2.2; without bias and groups: Jiang et al., "Mixtral of Experts" (arXiv 2401.04088), section 2.1.
 */
export function moeRoute(
  logits: Float64Array, // [T, E]
  { T, E, K }: { readonly T: number; readonly E: number; readonly K: number },
  {
    scores,
    renormalize,
    scale = 1,
    bias,
    groups = 1,
    topGroups = 1,
    groupBest = 2,
  }: {
    readonly scores: "softmax" | "sigmoid";
    readonly renormalize: boolean;
    readonly scale?: number;
    readonly bias?: Float64Array; // [E]
    readonly groups?: number;
    readonly topGroups?: number;
    readonly groupBest?: number;
  },
): { readonly weights: Float64Array /* [T, K] */; readonly experts: Int32Array /* [T, K] */ } {
  const weights = new Float64Array(T * K);
  const experts = new Int32Array(T * K);
  const groupSize = E / groups;
  for (let t = 0; t < T; t++) {
    const row = logits.subarray(t * E, (t + 1) * E);
    const score = scores === "softmax" ? softmax(row) : row.map((value) => 1 / (1 + Math.exp(-value)));
    const choice = score.map((value, e) => value + (bias?.[e] ?? 0));

    const groupScores = Float64Array.from({ length: groups }, (_, g) => {
      const members = choice.slice(g * groupSize, (g + 1) * groupSize).sort();
      return members.at(-1)! + (groupBest > 1 ? (members.at(-2) ?? 0) : 0);
    });
    const openGroups = new Set(descending(groupScores).slice(0, topGroups));
    const chosen = descending(choice)
      .filter((e) => openGroups.has(Math.floor(e / groupSize)))
      .slice(0, K);

    let sum = 0;
    for (const e of chosen) sum += score[e]!;
    for (const [k, e] of chosen.entries()) {
      experts[t * K + k] = e;
      weights[t * K + k] = (renormalize && sum !== 0 ? score[e]! / sum : score[e]!) * scale;
    }
  }
  return { weights, experts };
}

function softmax(row: Float64Array): Float64Array {
  const max = row.reduce((a, b) => Math.max(a, b));
  const exponentials = row.map((value) => Math.exp(value - max));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((value) => value / sum);
}

/** Indices by descending value, equal values by ascending index. */
function descending(values: Float64Array): number[] {
  return Array.from(values.keys()).sort((a, b) => values[b]! - values[a]! || a - b);
}
