/**
 * Finds stop strings in streamed text. Text that may still become a stop string is held back; the result does not depend
 * on how the text was cut into pieces. Knows nothing of tokens: stop tokens are the engine's business.
 */
import { describe } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";
import { runNow } from "../eventLoop.js";
import { startState, StopAutomaton, stopAutomaton } from "./stopAutomaton.js";

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
  readonly #automaton: StopAutomaton;
  readonly #includeStop: boolean;
  #state = startState;
  #held = "";
  #stopped: string | null = null;

  /**
   * @param stops strings that end the text, each at least one character, none at all is allowed; or their automaton, which
   * several matchers may share
   * @param options includeStop: whether the text that is handed out ends with the stop string
   * @throws ArgumentTypeError, ArgumentRangeError naming stops[i]
   */
  constructor(
    stops: readonly string[] | StopAutomaton,
    { includeStop = false }: { readonly includeStop?: boolean } = {},
  ) {
    this.#automaton = stops instanceof StopAutomaton ? stops : runNow(stopAutomaton(checkStops(stops)));
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
      this.#state = this.#automaton.next(this.#state, text.charCodeAt(i));
      const stop = this.#automaton.stopAt(this.#state);
      if (stop === null) continue;
      this.#held = "";
      this.#stopped = stop;
      const end = i + 1;
      return { text: text.slice(0, this.#includeStop ? end : end - stop.length), stopped: stop };
    }
    const numFree = text.length - this.#automaton.numMatched(this.#state);
    this.#held = text.slice(numFree);
    return { text: text.slice(0, numFree), stopped: null };
  }

  /** Ends the text: hands out what was held back and forgets it. Empty after a stop. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    this.#state = startState;
    return text;
  }
}

function checkStops(stops: readonly unknown[]): readonly string[] {
  if (!Array.isArray(stops)) throw new ArgumentTypeError("stops: expected an array of strings");
  for (const [i, stop] of stops.entries()) {
    if (typeof stop !== "string") {
      throw new ArgumentTypeError(`stops[${i}]: expected a string, got ${describe(stop)}`);
    }
    if (stop === "") throw new ArgumentRangeError(`stops[${i}]: expected at least one character, got ""`);
  }
  return stops as readonly string[];
}
