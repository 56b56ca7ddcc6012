/** The characters that byte-level tokenizers write for bytes: GPT-2's table, which every such vocabulary has kept. */

/** By byte: printable ones stand for themselves, the others follow from U+0100. */
export const byteChars: readonly string[] = (() => {
  const isPrintable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let numOthers = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : 256 + numOthers++),
  );
})();

/** Tokens that stand for the bytes in vocabularies with a byte fallback, by byte. */
export const byteTokens: readonly string[] = byteChars.map(
  (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
);
