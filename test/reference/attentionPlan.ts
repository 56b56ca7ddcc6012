/** What the sequences of a step are, as `pagedAttention` reads them from a plan. Source: the definition. */
export interface PlannedSequence {
  readonly firstQuery: number;
  readonly numQueries: number;
  readonly numKeys: number;
  readonly row: number;
}

/** Of a sequence without queries nothing is read but where its queries would be. */
export function attentionPlan(
  rows: ArrayLike<number>, // [B]
  cuSeqlensQ: ArrayLike<number>, // [B + 1]
  contextLens: ArrayLike<number>, // [B]
): PlannedSequence[] {
  return Array.from(rows, (row, b) => {
    const firstQuery = cuSeqlensQ[b]!;
    const numQueries = cuSeqlensQ[b + 1]! - firstQuery;
    if (numQueries === 0) return { firstQuery, numQueries, numKeys: 0, row: 0 };
    return { firstQuery, numQueries, numKeys: contextLens[b]!, row };
  });
}
