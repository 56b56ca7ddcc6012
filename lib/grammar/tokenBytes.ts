/** The bytes that each token of a tokenizer writes: what grammars match. */
import type { Steps } from "../eventLoop.js";
import { byteChars, byteTokens } from "../text/byteChars.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { textInside } from "../text/tokenText.js";

/** Begins the bytes of a special token: none of UTF-8, so that no text satisfies a grammar that asks for the token, nor the other way round. */
export const specialByte = 0xff;

const replacementCharacter = "\ufffd";
const tokensPerStep = 64; // about 0.5 ms
const nothing = new Uint8Array();
const byteOfChar = new Map(byteChars.map((character, byte) => [character, byte]));
const byteOfToken = new Map(byteTokens.map((token, byte) => [token, byte]));

/** The bytes of a special token in a grammar. */
export function specialBytes(text: string): Uint8Array {
  return Uint8Array.of(specialByte, ...Buffer.from(text));
}

/**
 * @param vocabSize of the model; those beyond the tokenizer's have no bytes
 * @returns for each id; none for one that no text has
 */
export function* tokenBytes(tokenizer: Tokenizer, vocabSize: number): Steps<Uint8Array[]> {
  const all: Uint8Array[] = [];
  for (let id = 0; id < vocabSize; id++) {
    all.push(bytesOf(tokenizer, id));
    if (id % tokensPerStep === 0) yield;
  }
  return all;
}

function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array {
  const token = tokenizer.tokenText(id);
  if (token === undefined) return nothing;
  if (tokenizer.isSpecial(id)) return specialBytes(token);
  const byte = byteOfToken.get(token);
  const text = textInside(tokenizer, id);
  if (byte !== undefined && text !== token) return Uint8Array.of(byte);
  if (!text.includes(replacementCharacter) || token.includes(replacementCharacter)) return Buffer.from(text);
  // A part of a character, in the alphabet of byte-level tokenizers.
  const bytes = Array.from(token, (character) => byteOfChar.get(character));
  return bytes.every((one) => one !== undefined) ? Uint8Array.from(bytes) : nothing;
}
