/** The bytes that each token of a tokenizer writes: what grammars match. */
import type { Steps } from "../eventLoop.js";
import { byteChars, byteTokens } from "../text/byteChars.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { controlBytes, type ControlToken, markerByte, specialByte } from "./syntax/controlTokens.js";
import { textInside } from "../text/tokenText.js";

/** In brackets of their own. Added tokens of another form, runs of blanks for one, are text like others. */
const markerForm = /^(?:<[^<>\s]+>|\[\/?[A-Z_]+\])$/;

const replacementCharacter = "\ufffd";
const tokensPerStep = 64; // about 0.5 ms
const nothing = new Uint8Array();
const byteOfChar = new Map(byteChars.map((character, byte) => [character, byte]));
const byteOfToken = new Map(byteTokens.map((token, byte) => [token, byte]));

/** All tokens that are no text: special ones and markers. */
export function controlTokens(tokenizer: Tokenizer): ControlToken[] {
  const ids = new Set([...tokenizer.specialIds, ...tokenizer.addedIds]);
  return [...ids].map((id) => controlToken(tokenizer, id)).filter((token) => token !== undefined);
}

function controlToken(tokenizer: Tokenizer, id: number): ControlToken | undefined {
  const text = tokenizer.tokenText(id) ?? "";
  if (tokenizer.isSpecial(id)) return [text, specialByte];
  return markerForm.test(text) ? [text, markerByte] : undefined;
}

/**
 * @param vocabSize of the model; those beyond the tokenizer's have no bytes
 * @returns for each id; none for one that no text has
 */
export function* tokenBytes(tokenizer: Tokenizer, vocabSize: number): Steps<Uint8Array[]> {
  const all: Uint8Array[] = [];
  const added = new Set([...tokenizer.specialIds, ...tokenizer.addedIds]);
  for (let id = 0; id < vocabSize; id++) {
    const control = added.has(id) ? controlToken(tokenizer, id) : undefined;
    const bytes = control ? controlBytes(control) : bytesOf(tokenizer, id);
    all.push(control || isPartOfText(bytes) ? bytes : nothing);
    if (id % tokensPerStep === 0) yield;
  }
  return all;
}

/** Vocabularies have tokens for single bytes, also for those that begin control tokens here: with these, text could spell one. */
const isPartOfText = (bytes: Uint8Array): boolean => !bytes.some((byte) => byte >= markerByte);

function bytesOf(tokenizer: Tokenizer, id: number): Uint8Array {
  const token = tokenizer.tokenText(id);
  if (token === undefined) return nothing;
  const byte = byteOfToken.get(token);
  const text = textInside(tokenizer, id);
  if (byte !== undefined && text !== token) return Uint8Array.of(byte);
  if (!text.includes(replacementCharacter) || token.includes(replacementCharacter)) return Buffer.from(text);
  // A part of a character, in the alphabet of byte-level tokenizers.
  const bytes = Array.from(token, (character) => byteOfChar.get(character));
  return bytes.every((one) => one !== undefined) ? Uint8Array.from(bytes) : nothing;
}
