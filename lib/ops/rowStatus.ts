/** What a kernel that reads every logit of a row says about the row; native/core/row_status.h has the same numbers. */
export const RowStatus = {
  ok: 0,
  /** A logit is NaN or +infinity. -infinity is the logit of a token that cannot come, and legal. */
  notFinite: 1,
  /** Every logit is -infinity: of the model, or because every token is banned. */
  noChoice: 2,
} as const;
