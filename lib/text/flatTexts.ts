/**
 * Many texts as two flat arrays in shared memory: another thread has them without a copy, and the strings are made in steps.
 * What the texts are is not known here.
 */
import type { Steps } from "../eventLoop.js";

export interface FlatTexts {
  /** UTF-16 units of all texts, one after another. */
  readonly units: Uint16Array;
  /** Start of each text in `units`, and the end of the last. */
  readonly offsets: Uint32Array;
}

/** Texts that become strings between two yields. */
const textsPerStep = 2048;

export function flatTexts(texts: readonly string[]): FlatTexts {
  const numUnits = texts.reduce((sum, text) => sum + text.length, 0);
  const units = new Uint16Array(new SharedArrayBuffer(2 * numUnits));
  const offsets = new Uint32Array(new SharedArrayBuffer(4 * (texts.length + 1)));
  let at = 0;
  for (const [i, text] of texts.entries()) {
    offsets[i] = at;
    for (let j = 0; j < text.length; j++) units[at++] = text.charCodeAt(j);
  }
  offsets[texts.length] = at;
  return { units, offsets };
}

/** @param take gets each text and its index, in order */
export function* readTexts(
  { units, offsets }: FlatTexts,
  take: (text: string, index: number) => void,
): Steps<void> {
  const bytes = Buffer.from(units.buffer, units.byteOffset, units.byteLength);
  const numTexts = offsets.length - 1;
  for (let first = 0; first < numTexts; first += textsPerStep) {
    const last = Math.min(first + textsPerStep, numTexts);
    const start = offsets[first]!;
    const text = bytes.toString("utf16le", 2 * start, 2 * offsets[last]!);
    for (let i = first; i < last; i++) take(text.slice(offsets[i]! - start, offsets[i + 1]! - start), i);
    yield;
  }
}
