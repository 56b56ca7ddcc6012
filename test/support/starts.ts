/** Where each of `counts` begins when they lie one behind the other from `first` on, and the end: cuSeqlens. */
export function starts(counts: readonly number[], first = 0): Int32Array {
  let end = first;
  return Int32Array.of(first, ...counts.map((count) => (end += count)));
}
