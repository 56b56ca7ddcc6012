/**
 * What is wrong with each row of logits: 1 when a logit is NaN or +infinity; else 2 when no token has a logit above -infinity
 * among those that are allowed; else 0.
 *
 * Source: the definition (native/core/row_status.h).
 */
export function rowStatus(
  logits: Float64Array, // [B, V]
  { B, V, isAllowed = () => true }: RowStatusShape,
): Int32Array /* [B] */ {
  return Int32Array.from({ length: B }, (_, b) => {
    const row = logits.subarray(b * V, (b + 1) * V);
    if (row.some((value) => Number.isNaN(value) || value === Infinity)) return 1;
    return row.some((value, v) => value > -Infinity && isAllowed(b, v)) ? 0 : 2;
  });
}

interface RowStatusShape {
  readonly B: number;
  readonly V: number;
  readonly isAllowed?: (b: number, v: number) => boolean;
}
