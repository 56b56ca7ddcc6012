/**
 * The merges of a SentencePiece vocabulary, which has scores in their place: two neighbours are merged where they make a token, those of
 * the highest score first. Which they are is computed as transformers does for tokenizer.json (`generate_merges` of its converter).
 */
import type { Steps } from "../eventLoop.js";
import { itemsPerStep, tokenTypes, type VocabularyToken } from "./vocabulary.js";

/** @param scores by id @returns pairs, the first to be merged first */
export function* mergesOf(
  tokens: readonly VocabularyToken[],
  scores: Float64Array,
): Steps<(readonly [string, string])[]> {
  const pieces = tokens.filter(({ type }) => type === tokenTypes.normal);
  const known = new Set(pieces.map(({ text }) => text));
  const merges: { readonly score: number; readonly pair: readonly [string, string] }[] = [];
  for (const [i, { id, text }] of pieces.entries()) {
    if (i % itemsPerStep === 0) yield;
    for (let at = 1; at < text.length; at++) {
      const [left, right] = [text.slice(0, at), text.slice(at)];
      if (known.has(left) && known.has(right)) merges.push({ score: scores[id]!, pair: [left, right] });
    }
  }
  yield;
  // Of one score the longer left part is first: within a token, and where tokens have the same.
  merges.sort(
    (a, b) => b.score - a.score || b.pair[0].length - a.pair[0].length || b.pair[1].length - a.pair[1].length,
  );
  return merges.map(({ pair }) => pair);
}
