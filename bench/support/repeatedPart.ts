/**
 * Finds the layers in the list of a model's commands: the longest part that comes `times` times in a row.
 *
 * @returns where the first one starts, and its length
 * @throws Error when nothing is repeated so often
 */
export function repeatedPart(
  items: readonly string[],
  times: number,
): { readonly start: number; readonly length: number } {
  for (let length = Math.floor(items.length / times); length > 0; length--) {
    let equal = 0; // neighbours at this distance that are equal, in a row
    for (let i = 0; i + length < items.length; i++) {
      equal = items[i] === items[i + length] ? equal + 1 : 0;
      if (equal === length * (times - 1)) return { start: i + 1 - equal, length };
    }
  }
  throw new Error(`no part of these ${items.length} commands comes ${times} times in a row`);
}
