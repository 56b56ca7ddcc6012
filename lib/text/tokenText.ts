/** The text of single tokens, for those who show tokens one by one. */
import type { Tokenizer } from "./tokenizer.js";

/** A token whose text can stand before any other. */
interface Anchor {
  readonly id: number;
  readonly text: string;
}

const anchors = new WeakMap<Tokenizer, Anchor | null>();
/** The first tokens of vocabularies are letters, bytes or marks. */
const maxAnchorId = 1_000;

/**
 * Text that a token adds to a text that has begun: " was" for "▁was", where `decode` of the token alone drops the space.
 * Special tokens have their text, bytes that are no character are U+FFFD.
 *
 * @throws as Tokenizer.decode
 */
export function textInside(tokenizer: Tokenizer, id: number): string {
  if (!anchors.has(tokenizer)) anchors.set(tokenizer, findAnchor(tokenizer));
  const anchor = anchors.get(tokenizer);
  const decode = (...ids: number[]) => tokenizer.decode(ids, { skipSpecialTokens: false });
  if (anchor) {
    const whole = decode(anchor.id, id);
    if (whole.startsWith(anchor.text)) return whole.slice(anchor.text.length);
  }
  return decode(id);
}

function findAnchor(tokenizer: Tokenizer): Anchor | null {
  for (let id = 0; id < Math.min(tokenizer.vocabSize, maxAnchorId); id++) {
    const text = tokenizer.decode([id]);
    if (text !== "" && !text.includes("\ufffd")) return { id, text };
  }
  return null;
}
