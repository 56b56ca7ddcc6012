/**
 * From bytes that must come next to the tokens that the tokenizer writes them with, so that a model reads them as it has learned to. Tokens
 * at their end are left to sampling: what comes behind may belong to them.
 */
import type { Tokenizer } from "../text/tokenizer.js";
import type { GrammarVocabulary } from "./matcher.js";

/** No text has such bytes: those of control tokens (syntax/controlTokens.ts) among them. */
const firstControlByte = 0xf8;

/**
 * @param before the last tokens of the text; how the next ones are written may depend on them
 * @param bytes that must come
 * @returns none where it is not certain that the tokens are those bytes
 */
export function forcedTokens(
  tokenizer: Tokenizer,
  vocabulary: GrammarVocabulary,
  { before, bytes }: { readonly before: readonly number[]; readonly bytes: Uint8Array },
): readonly number[] {
  const known = lastText(Buffer.concat(before.map((id) => vocabulary.bytesOf(id))));
  const text = wholeCharacters(Buffer.concat([known, untilControl(bytes)]));
  if (text === undefined) return [];
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  // Some tokenizers put a space in front of a text.
  const pieces = Array.from(ids, (id) => vocabulary.bytesOf(id));
  const written = Buffer.concat(pieces);
  const added = written.length - Buffer.byteLength(text);
  if (added < 0 || added > 1 || written.toString("utf8", added) !== text) return [];
  let end = 0;
  const ends = pieces.map(({ length }) => (end += length));
  const first = known.length === 0 ? 0 : ends.indexOf(known.length + added) + 1;
  if (first === 0 && known.length + added > 0) return []; // no token begins where the text goes on
  let last = ids.length - 1;
  while (last > first && isInsideWord(written, ends[last - 1]!)) last--;
  return Array.from(ids.subarray(first, Math.max(first, last)));
}

/** What of bytes that begin anywhere is text. */
function lastText(bytes: Buffer): Buffer {
  let start = bytes.length;
  while (start > 0 && bytes[start - 1]! < firstControlByte) start--;
  while ((bytes[start]! & 0xc0) === 0x80) start++; // of a character that began before
  return bytes.subarray(start);
}

function untilControl(bytes: Uint8Array): Uint8Array {
  const end = bytes.findIndex((byte) => byte >= firstControlByte);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

/** The characters that are complete. Undefined where the bytes are no text from their beginning on. */
function wholeCharacters(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes, { stream: true });
  } catch {
    return undefined;
  }
}

/** Whether what is before `at` and what is behind it may be written with other tokens once more letters come. */
function isInsideWord(bytes: Uint8Array, at: number): boolean {
  const isLetter = (byte: number): boolean => byte >= 0x80 || /\w/.test(String.fromCharCode(byte));
  return isLetter(bytes[at - 1]!) && isLetter(bytes[at]!);
}
