/**
 * Vocabulary and merges of a byte pair encoding as flat arrays: a fraction of the memory and the time that objects and strings
 * take, and shared between threads without a copy. Encoding with them is bytePairEncoding.ts's business.
 */
import type { JsonObject } from "../checkpoint/json.js";
import { byteChars, byteTokens } from "./byteChars.js";
import { type FlatTexts, flatTexts } from "./flatTexts.js";
import { isMergesHeader } from "./tokenizerDefinition.js";

/** Plain data; the arrays lie in shared memory. The texts are the tokens of the vocabulary, then what else merges name. */
export interface BpeTables extends FlatTexts {
  /** Token ids of the first symbols. */
  readonly ids: Int32Array;
  /** A MergeTable over symbols. */
  readonly merges: Int32Array;
  /** UTF-16 units of the longest token. */
  readonly longestToken: number;
  /** Whether every character of a text becomes a token or a part of one, whatever the text. */
  readonly losesNothing: boolean;
  /** Index of the first merge with a token that the vocabulary does not have. */
  readonly foreignMerge: number | undefined;
}

/** (left, right) to rank and result: a hash table with linear probing, at most half full. */
export class MergeTable {
  /** Quadruples: left + 1 (0: free), right, rank, result. */
  readonly slots: Int32Array;
  readonly #mask: number;

  /** @param slots of an earlier table, or a number of merges to make room for */
  constructor(slots: Int32Array | number) {
    this.slots =
      typeof slots === "number"
        ? new Int32Array(new SharedArrayBuffer(16 * 2 ** Math.ceil(Math.log2(2 * slots + 2))))
        : slots;
    this.#mask = this.slots.length / 4 - 1;
  }

  /** Index of the entry in `slots`, or -1. */
  find(left: number, right: number): number {
    const at = this.#find(left, right);
    return this.slots[at] === 0 ? -1 : at;
  }

  /** A later merge of the same pair takes the place of an earlier one. */
  set(left: number, right: number, rank: number, result: number): void {
    const at = this.#find(left, right);
    this.slots[at] = left + 1;
    this.slots[at + 1] = right;
    this.slots[at + 2] = rank;
    this.slots[at + 3] = result;
  }

  #find(left: number, right: number): number {
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (; ; hash++) {
      const at = 4 * (hash & this.#mask);
      if (this.slots[at] === 0 || (this.slots[at] === left + 1 && this.slots[at + 1] === right)) return at;
    }
  }
}

/**
 * @param model of tokenizer.json, checked
 * @returns undefined if the model is no byte pair encoding, or one that bytePairEncoding.ts leaves to the library
 * @throws Error if a merge is not a text where the first one is
 */
export function bpeTables(model: JsonObject): BpeTables | undefined {
  const hasSuffix = ["continuing_subword_suffix", "end_of_word_suffix"].some(
    (name) => (model[name] ?? "") !== "",
  );
  const merges = model["merges"] as readonly unknown[];
  if (model["type"] !== "BPE" || hasSuffix || merges.length >= maxMerges) return undefined;
  const vocab = Object.entries(model["vocab"] as Readonly<Record<string, number>>);
  const symbols = new SymbolList(vocab.map(([token]) => token));
  const table = new MergeTable(merges.length);
  const pairOf = Array.isArray(merges[0]) ? pairOfList : pairOfText;
  const losesNothing = knowsEveryCharacter(model);
  let foreignMerge: number | undefined;
  for (const [rank, merge] of merges.entries()) {
    const pair = pairOf(merge);
    if (pair === undefined) continue;
    const [left, right] = pair;
    const result = symbols.indexOf(left + right);
    table.set(symbols.indexOf(left), symbols.indexOf(right), rank, result);
    if (symbols.length > vocab.length) foreignMerge ??= rank;
  }
  const ids = new Int32Array(new SharedArrayBuffer(4 * vocab.length));
  for (const [i, [, id]] of vocab.entries()) ids[i] = id;
  const longestToken = vocab.reduce((longest, [token]) => Math.max(longest, token.length), 0);
  return { ...symbols.flat(), ids, merges: table.slots, longestToken, losesNothing, foreignMerge };
}

/** True if a character has a token for itself, for each of its bytes, or the unknown token. The byte level writes only bytes. */
function knowsEveryCharacter(model: JsonObject): boolean {
  const has = (token: string): boolean => Object.hasOwn(model["vocab"] as JsonObject, token);
  const unknown = model["unk_token"];
  if (typeof unknown === "string") return has(unknown) && model["fuse_unk"] !== true;
  if (model["byte_fallback"] === true) return byteTokens.every(has);
  return byteChars.every(has);
}

/** A rank and a position must fit a double together. */
const maxMerges = 2 ** 21;

/** As the library reads a merge: what is not two texts never matches. */
function pairOfList(merge: unknown): readonly [string, string] | undefined {
  if (!Array.isArray(merge) || merge.length !== 2) return undefined;
  const [left, right] = merge as readonly unknown[];
  return typeof left === "string" && typeof right === "string" ? [left, right] : undefined;
}

function pairOfText(merge: unknown): readonly [string, string] | undefined {
  if (typeof merge !== "string") throw new Error("model.merges: expected texts only, like the first merge");
  const space = merge.indexOf(" ");
  if (space < 0 || isMergesHeader(merge)) return undefined;
  const end = merge.indexOf(" ", space + 1);
  return [merge.slice(0, space), merge.slice(space + 1, end < 0 ? undefined : end)];
}

class SymbolList {
  readonly #texts: string[];
  readonly #indices: Map<string, number>;

  constructor(texts: string[]) {
    this.#texts = texts;
    this.#indices = new Map(texts.map((text, i) => [text, i]));
  }

  /** Index of a text, which is added if need be. */
  indexOf(text: string): number {
    let index = this.#indices.get(text);
    if (index === undefined) {
      index = this.#texts.push(text) - 1;
      this.#indices.set(text, index);
    }
    return index;
  }

  get length(): number {
    return this.#texts.length;
  }

  flat(): FlatTexts {
    return flatTexts(this.#texts);
  }
}
