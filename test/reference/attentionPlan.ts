/** What the sequences of a step are, as `pagedAttention` reads them from a plan. Source: the definition. */
export interface PlannedSequence {
  readonly firstQuery: number;
  readonly numQueries: number;
  readonly numKeys: number;
  readonly row: number;
  /** Of the first query, among the keys. */
  readonly firstPosition: number;
}

/** Of a sequence without queries nothing is read but where its queries would be. */
export function attentionPlan(
  rows: ArrayLike<number>, // [B]
  cuSeqlensQ: ArrayLike<number>, // [B + 1]
  contextLens: ArrayLike<number>, // [B]
  queryOffsets?: ArrayLike<number>, // [B]
): PlannedSequence[] {
  return Array.from(rows, (row, b) => {
    const firstQuery = cuSeqlensQ[b]!;
    const numQueries = cuSeqlensQ[b + 1]! - firstQuery;
    if (numQueries === 0) return { firstQuery, numQueries, numKeys: 0, row: 0, firstPosition: 0 };
    const firstPosition = contextLens[b]! - numQueries + (queryOffsets?.[b] ?? 0);
    const numKeys = Math.min(contextLens[b]!, Math.max(firstPosition + numQueries, 0)); // what is seen
    return { firstQuery, numQueries, numKeys, row, firstPosition };
  });
}
