/**
 * Vocabularies of WordPiece and Unigram models as flat arrays, as bpeTables.ts has them for byte pairs: a multilingual one has
 * 250,000 pieces. Encoding with them is pieceModels.ts's business.
 */
import type { JsonObject } from "../checkpoint/json.js";
import { MergeTable } from "./bpeTables.js";
import { type FlatTexts, flatTexts } from "./flatTexts.js";

/** Plain data; the arrays lie in shared memory. */
export interface PieceTables extends FlatTexts {
  /** Token ids of the pieces. */
  readonly ids: Int32Array;
  /** A MergeTable: (state, code point) to 1 if a piece ends there, and to the next state. State 0 is before a piece. */
  readonly trie: Int32Array;
  /** UTF-16 units of the longest piece. */
  readonly longestPiece: number;
  /** Undefined for WordPiece. */
  readonly unigram: UnigramTables | undefined;
}

export interface UnigramTables {
  /** Log probabilities by id; that of the unknown token is `unknownScore`. */
  readonly scores: Float64Array;
  readonly leastScore: number;
  readonly unknownScore: number;
}

/** UTF-16 units of text that every model encodes within a few ms. */
const manyChars = 4096;
/** The same, times those of the longest piece: models of pieces look from every place for all pieces that begin there. */
const manyPieceChars = 300_000;

/** How much text the event loop may encode at once, in UTF-16 units. @param tables undefined for other models */
export function charsAtOnce(tables: PieceTables | undefined): number {
  return Math.min(manyChars, manyPieceChars / Math.max(1, tables?.longestPiece ?? 1));
}

/** How much less likely than any piece an unknown character is; the library's, and SentencePiece's, number. */
const unknownPenalty = 10;
/** Code points are below it. */
const codePointLimit = 2 ** 21;

/**
 * @param model of tokenizer.json, checked
 * @returns undefined if the model is neither WordPiece nor Unigram
 */
export function pieceTables(model: JsonObject): PieceTables | undefined {
  if (model["type"] === "WordPiece") {
    const vocab = Object.entries(model["vocab"] as Readonly<Record<string, number>>);
    const ids = sharedIds(vocab.map(([, id]) => id));
    return { ...piecesIn(vocab.map(([piece]) => piece)), ids, unigram: undefined };
  }
  if (model["type"] !== "Unigram") return undefined;
  const vocab = model["vocab"] as readonly (readonly [string, number])[];
  const pieces = vocab.map(([piece]) => piece);
  const scores = new Float64Array(new SharedArrayBuffer(8 * vocab.length));
  let leastScore = vocab[0]![1];
  for (const [i, [, score]] of vocab.entries()) {
    scores[i] = score;
    if (score < leastScore) leastScore = score;
  }
  const unknownScore = leastScore - unknownPenalty;
  const unknownId = (model["unk_id"] ?? undefined) as number | undefined;
  if (unknownId !== undefined) scores[unknownId] = unknownScore;
  const unigram = { scores, leastScore, unknownScore };
  return { ...piecesIn(pieces), ids: sharedIds([...pieces.keys()]), unigram };
}

function piecesIn(pieces: readonly string[]): Omit<PieceTables, "ids" | "unigram"> {
  const longestPiece = pieces.reduce((longest, piece) => Math.max(longest, piece.length), 0);
  return { ...flatTexts(pieces), trie: trieOf(pieces), longestPiece };
}

function sharedIds(ids: readonly number[]): Int32Array {
  const shared = new Int32Array(new SharedArrayBuffer(4 * ids.length));
  shared.set(ids);
  return shared;
}

function trieOf(pieces: readonly string[]): Int32Array {
  const children = new Map<number, number>();
  const ends = new Set<number>();
  for (const piece of pieces) {
    let state = 0;
    for (const char of piece) {
      const edge = state * codePointLimit + char.codePointAt(0)!;
      let child = children.get(edge);
      if (child === undefined) children.set(edge, (child = children.size + 1));
      state = child;
    }
    ends.add(state);
  }
  const table = new MergeTable(children.size);
  for (const [edge, child] of children) {
    const [state, codePoint] = [Math.floor(edge / codePointLimit), edge % codePointLimit];
    table.set(state, codePoint, ends.has(child) ? 1 : 0, child);
  }
  return table.slots;
}
