/** Lists of token ids. */

/** All of them in one. */
export function concatIds(parts: readonly (Int32Array | readonly number[])[]): Int32Array {
  const all = new Int32Array(parts.reduce((length, part) => length + part.length, 0));
  let length = 0;
  for (const part of parts) {
    all.set(part, length);
    length += part.length;
  }
  return all;
}
