/** Ranges of characters as ranges of the bytes that UTF-8 writes them in. */

/** First and last, inclusive: code points, or bytes. */
export type Range = readonly [first: number, last: number];

const surrogates: Range = [0xd800, 0xdfff];
export const lastCodePoint = 0x10ffff;
/** The last code points of one, two, three and four bytes. */
const lastOfLength = [0x7f, 0x7ff, 0xffff, lastCodePoint];

/**
 * Sequences of byte ranges that together match the code points of a range. Surrogates have no bytes and are left out.
 *
 * @see Thompson, Regular Expression Search Algorithm; Cox, https://swtch.com/~rsc/regexp/regexp3.html ("UTF-8")
 */
export function* utf8Sequences([first, last]: Range): Generator<readonly Range[], void, void> {
  if (first > last) return;
  if (first <= surrogates[1] && last >= surrogates[0]) {
    yield* utf8Sequences([first, surrogates[0] - 1]);
    yield* utf8Sequences([surrogates[1] + 1, last]);
    return;
  }
  const end = lastOfLength.find((most) => first <= most)!;
  if (last > end) {
    yield* utf8Sequences([first, end]);
    yield* utf8Sequences([end + 1, last]);
    return;
  }
  // Below the bits of the last continuation bytes both ends have to be whole.
  const length = lastOfLength.indexOf(end) + 1;
  for (let bits = 6; bits < 6 * length; bits += 6) {
    const mask = 2 ** bits - 1;
    if (Math.floor(first / 2 ** bits) === Math.floor(last / 2 ** bits)) continue;
    if ((first & mask) !== 0) {
      yield* utf8Sequences([first, first | mask]);
      yield* utf8Sequences([(first | mask) + 1, last]);
      return;
    }
    if ((last & mask) !== mask) {
      yield* utf8Sequences([first, (last & ~mask) - 1]);
      yield* utf8Sequences([last & ~mask, last]);
      return;
    }
  }
  const [from, to] = [utf8Bytes(first), utf8Bytes(last)];
  yield from.map((byte, i) => [byte, to[i]!] as const);
}

function utf8Bytes(codePoint: number): number[] {
  return [...Buffer.from(String.fromCodePoint(codePoint))];
}
