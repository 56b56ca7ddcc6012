/**
 * Ends a text at stop strings, also at those with special tokens in them when special tokens are not shown. Such a stop
 * string is looked for in the text with its special tokens written out; every other one in the text that is shown. Which
 * text belongs to which token is the detokenizer's business.
 */
import type { Steps } from "../eventLoop.js";
import { batchesOf, stopAutomaton, type StopAutomaton } from "./stopAutomaton.js";
import { StopStringMatcher, type StopPush } from "./stopStrings.js";
import type { Tokenizer } from "./tokenizer.js";

/** Stop strings with special tokens in them, and those tokens: text by id. */
export interface SpecialStops {
  readonly stops: StopAutomaton;
  readonly tokens: ReadonlyMap<number, string>;
}

/** What is looked for; any number of texts may share it. */
export interface StopSearch {
  readonly stops: StopAutomaton;
  /** Null if special tokens are shown, or if no stop string has one in it. */
  readonly special: SpecialStops | null;
}

/** UTF-16 units that are looked at between two yields. */
const unitsPerStep = 2048;

/**
 * @param stops strings that end the text, none empty
 * @param hiding knows the special tokens that are not shown; null if all are shown
 */
export function* prepareStops(stops: readonly string[], hiding: Tokenizer | null): Steps<StopSearch> {
  const tokens = new Map<number, string>();
  const special = hiding === null ? [] : yield* withSpecials(stops, hiding, tokens);
  return {
    stops: yield* stopAutomaton(stops),
    special: special.length > 0 ? { stops: yield* stopAutomaton(special), tokens } : null,
  };
}

/**
 * The stop strings that spell special tokens. Where two tokens overlap, the first and longest counts.
 * @param tokens takes those tokens: text by id
 */
function* withSpecials(
  stops: readonly string[],
  tokenizer: Tokenizer,
  tokens: Map<number, string>,
): Steps<string[]> {
  const special: string[] = [];
  for (const { text, first, last } of batchesOf(stops)) {
    yield;
    // What is found across the border of two stop strings is found in neither.
    if ((yield* specialsIn(text, tokenizer)).size === 0) continue;
    for (const stop of stops.slice(first, last)) {
      const found = yield* specialsIn(stop, tokenizer);
      if (found.size > 0) special.push(stop);
      for (const token of found) tokens.set(tokenizer.tokenId(token)!, token);
    }
  }
  return special;
}

function* specialsIn(text: string, tokenizer: Tokenizer): Steps<Set<string>> {
  const specials = new Set<string>();
  for (let at = 0, numSteps = 0; at < text.length; numSteps++) {
    const found = tokenizer.specialAt(text, at);
    if (found !== undefined) specials.add(found);
    at += found?.length ?? 1;
    if (numSteps % unitsPerStep === unitsPerStep - 1) yield;
  }
  return specials;
}

/** A special token in the text that is not shown. */
interface HiddenToken {
  /** Where it starts in the text with special tokens. */
  readonly start: number;
  readonly length: number;
}

/** The stop string that one of the two searches has found; positions are those of the shown text. */
interface Found {
  readonly stop: string;
  readonly start: number;
  readonly end: number;
}

/** The text ends at the stop string that is complete first; of those complete at the same character, the longest counts. */
export class StopFinder {
  readonly #special: SpecialStops | null;
  readonly #includeStop: boolean;
  readonly #inShown: StopStringMatcher;
  readonly #inAll: StopStringMatcher | null;
  /** Shown text that is not handed out yet, and its start. */
  #pending = "";
  #start = 0;
  /** Units of the shown text, and of all text, that cannot belong to a stop string any more. */
  #freeShown = 0;
  #freeAll = 0;
  /** Units of all text. */
  #lengthAll = 0;
  /** Those that end behind `#freeAll`, and the total length of those before. */
  #hidden: HiddenToken[] = [];
  #lengthHidden = 0;
  #stopped: string | null = null;

  /** @param options includeStop: the text that is handed out ends with the stop string, as it was given */
  constructor({ stops, special }: StopSearch, { includeStop }: { readonly includeStop: boolean }) {
    this.#special = special;
    this.#includeStop = includeStop;
    this.#inShown = new StopStringMatcher(stops);
    this.#inAll = special && new StopStringMatcher(special.stops);
  }

  /** The stop string that ended the text, or null. */
  get stopped(): string | null {
    return this.#stopped;
  }

  /** True for a special token that a stop string may end with: text before it has to be pushed before it. */
  watches(id: number): boolean {
    return this.#special?.tokens.has(id) === true;
  }

  /** Takes the next piece of the shown text. */
  push(piece: string): StopPush {
    if (this.#stopped !== null) return { text: "", stopped: this.#stopped };
    this.#pending += piece;
    this.#lengthAll += piece.length;
    const inShown = this.#inShown.push(piece);
    this.#freeShown += inShown.text.length;
    const shown = inShown.stopped === null ? null : this.#foundInShown(inShown.stopped);
    return this.#advance(piece, shown);
  }

  /** Takes a token that is not shown and that this object `watches`. */
  pushHidden(id: number): StopPush {
    const text = this.#special?.tokens.get(id) ?? "";
    if (this.#stopped !== null || text === "") return { text: "", stopped: this.#stopped };
    this.#hidden.push({ start: this.#lengthAll, length: text.length });
    this.#lengthAll += text.length;
    return this.#advance(text, null);
  }

  /** Ends the text: hands out what was held back. Empty after a stop. */
  flush(): string {
    const text = this.#pending;
    this.#pending = "";
    return text;
  }

  /** Searches the next piece of all text, and hands out what neither search needs any more. */
  #advance(piece: string, shown: Found | null): StopPush {
    const inAll = this.#inAll?.push(piece);
    this.#freeAll += inAll?.text.length ?? piece.length;
    const all = inAll === undefined || inAll.stopped === null ? null : this.#foundInAll(inAll.stopped);
    const found = first(shown, all);
    const end = found?.start ?? Math.min(this.#freeShown, this.#shownUnits(this.#freeAll));
    const text = this.#pending.slice(0, end - this.#start);
    this.#pending = found ? "" : this.#pending.slice(end - this.#start);
    this.#start = end;
    this.#stopped = found?.stop ?? null;
    this.#forgetHidden();
    return {
      text: found && this.#includeStop ? text + found.stop : text,
      stopped: this.#stopped,
    };
  }

  #foundInShown(stop: string): Found {
    return { stop, start: this.#freeShown, end: this.#freeShown + stop.length };
  }

  #foundInAll(stop: string): Found {
    const end = this.#freeAll + stop.length;
    return { stop, start: this.#shownUnits(this.#freeAll), end: this.#shownUnits(end) };
  }

  /** How many of the first `length` units of all text are shown. */
  #shownUnits(length: number): number {
    const inside = ({ start, length: size }: HiddenToken) => Math.min(size, Math.max(0, length - start));
    return this.#hidden.reduce((units, token) => units - inside(token), length - this.#lengthHidden);
  }

  #forgetHidden(): void {
    while (this.#hidden[0] !== undefined && this.#hidden[0].start + this.#hidden[0].length <= this.#freeAll) {
      this.#lengthHidden += this.#hidden.shift()!.length;
    }
  }
}

function first(a: Found | null, b: Found | null): Found | null {
  if (a === null || b === null) return a ?? b;
  if (a.end !== b.end) return a.end < b.end ? a : b;
  return a.stop.length >= b.stop.length ? a : b;
}
