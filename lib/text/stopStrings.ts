/**
 * Finds stop strings in streamed text. Text that may still become a stop string is held back; the result does not depend
 * on how the text was cut into pieces. Knows nothing of tokens: stop tokens are the engine's business.
 */
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";

export interface StopPush {
  /** Text that can be shown now. */
  readonly text: string;
  /** The stop string that ended the text, or null while it goes on. */
  readonly stopped: string | null;
}

/**
 * The text ends at the stop string that is complete first; of those that are complete at the same character, the longest
 * counts. What follows it is dropped.
 */
export class StopStringMatcher {
  readonly #patterns: readonly Pattern[];
  readonly #includeStop: boolean;
  #held = "";
  #stopped: string | null = null;

  /**
   * @param stops strings that end the text, each at least one character; none at all is allowed
   * @param options includeStop: whether the text that is handed out ends with the stop string
   * @throws ArgumentTypeError, ArgumentRangeError naming stops[i]
   */
  constructor(stops: readonly string[], { includeStop = false }: { readonly includeStop?: boolean } = {}) {
    if (!Array.isArray(stops)) throw new ArgumentTypeError("stops: expected an array of strings");
    this.#patterns = stops.map((stop: unknown, i) => {
      if (typeof stop !== "string") {
        throw new ArgumentTypeError(`stops[${i}]: expected a string, got ${typeof stop}`);
      }
      if (stop === "") throw new ArgumentRangeError(`stops[${i}]: expected at least one character, got ""`);
      return new Pattern(stop);
    });
    this.#includeStop = includeStop;
  }

  /** The stop string that ended the text, or null. */
  get stopped(): string | null {
    return this.#stopped;
  }

  /**
   * Takes the next piece of text.
   *
   * @returns the text that cannot belong to a stop string any more; after a stop always the empty text and that stop
   */
  push(piece: string): StopPush {
    if (this.#stopped !== null) return { text: "", stopped: this.#stopped };
    const text = this.#held + piece;
    for (let i = this.#held.length; i < text.length; i++) {
      const stop = this.#advance(text.charCodeAt(i));
      if (stop === null) continue;
      this.#held = "";
      this.#stopped = stop;
      const end = i + 1;
      return { text: text.slice(0, this.#includeStop ? end : end - stop.length), stopped: stop };
    }
    let numHeld = 0;
    for (const pattern of this.#patterns) numHeld = Math.max(numHeld, pattern.numMatched);
    this.#held = text.slice(text.length - numHeld);
    return { text: text.slice(0, text.length - numHeld), stopped: null };
  }

  /** Ends the text: hands out what was held back and forgets it. Empty after a stop. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    for (const pattern of this.#patterns) pattern.reset();
    return text;
  }

  /** Feeds one UTF-16 unit to every pattern; the longest stop string that it completes, or null. */
  #advance(unit: number): string | null {
    let longest: string | null = null;
    for (const pattern of this.#patterns) {
      if (pattern.advance(unit) && pattern.stop.length > (longest?.length ?? 0)) longest = pattern.stop;
    }
    return longest;
  }
}

/** One stop string as a Knuth-Morris-Pratt automaton: constant time per character, however repetitive the text. */
class Pattern {
  readonly stop: string;
  /** fallback[n]: length of the longest proper prefix of the stop string that ends its first n + 1 units. */
  readonly #fallback: Int32Array;
  /** How many units at the end of the text are a prefix of the stop string. */
  numMatched = 0;

  constructor(stop: string) {
    this.stop = stop;
    this.#fallback = new Int32Array(stop.length);
    for (let i = 1, n = 0; i < stop.length; i++) {
      n = this.#next(n, stop.charCodeAt(i));
      this.#fallback[i] = n;
    }
  }

  /** True if this unit completes the stop string. */
  advance(unit: number): boolean {
    this.numMatched = this.#next(this.numMatched, unit);
    return this.numMatched === this.stop.length;
  }

  reset(): void {
    this.numMatched = 0;
  }

  #next(numMatched: number, unit: number): number {
    let n = numMatched;
    while (n > 0 && this.stop.charCodeAt(n) !== unit) n = this.#fallback[n - 1] ?? 0;
    return this.stop.charCodeAt(n) === unit ? n + 1 : n;
  }
}
