/** Tokens that are no text, as grammars have them: the bytes of their texts behind one that no text has. */

/** Begins the bytes of a special token: none of UTF-8, so that no text satisfies a grammar that asks for the token, nor the other way round. */
export const specialByte = 0xff;
/** The same of other tokens that were added as markers, such as "<tool_call>", which those who read a text tell from the characters. */
export const markerByte = 0xfe;
/** A token that is no text, by its text, and what its bytes in a grammar begin with. */
export type ControlToken = readonly [text: string, first: typeof specialByte | typeof markerByte];

/** The bytes of such a token in a grammar. */
export function controlBytes([text, first]: ControlToken): Uint8Array {
  return Uint8Array.of(first, ...Buffer.from(text));
}
