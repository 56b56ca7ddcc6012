/**
 * Where a JSON value ends in a text that arrives in pieces. It knows strings, brackets and which characters JSON has outside of
 * strings, and nothing else: whether the value is valid is JSON.parse's business.
 */

export type ScanStatus =
  /** The value goes on. */
  | "more"
  /** It is over. */
  | "end"
  /** The next character cannot belong to it. */
  | "stop";

/** What a reader makes of a piece of text. */
export interface ReaderStep {
  /** Index behind what was read. */
  readonly end: number;
  readonly status: ScanStatus;
  /** Of the arguments. */
  readonly json: string;
  /** The name of the call, in the step that begins it. */
  readonly name?: string | undefined;
}

const plain = /[\s:,0-9+\-.eEtrufalsn]*/y;
const inString = /[^"\\]*/y;
const blank = /\s*/y;

export class JsonScanner {
  #depth = 0;
  #hasBegun = false;
  #isInString = false;
  #isEscaped = false;
  /** A number or a word without a bracket around it: ends before what follows it. */
  #isScalar = false;

  /** Inside a string, where any text belongs to the value. */
  get isInString(): boolean {
    return this.#isInString;
  }

  /** @returns how much of the text from `at` on belongs to the value or stands before it, as an index of the text */
  push(text: string, at: number): { readonly end: number; readonly status: ScanStatus } {
    for (let i = at; i < text.length;) {
      if (this.#isInString) i = this.#skipString(text, i);
      else if (!this.#hasBegun) {
        i = skip(blank, text, i);
        if (i === text.length) break;
        if (!this.#begin(text[i]!)) return { end: i, status: "stop" };
        if (!this.#isScalar) i++;
        continue;
      } else if (this.#isScalar) {
        const end = skip(/[\w+\-.]*/y, text, i);
        return end < text.length ? { end, status: "end" } : { end, status: "more" };
      } else {
        i = skip(plain, text, i);
        if (i === text.length) break;
        if (!this.#mark(text[i]!)) return { end: i, status: "stop" };
        i++;
      }
      if (this.#depth === 0 && !this.#isInString && this.#hasBegun) return { end: i, status: "end" };
    }
    return { end: text.length, status: "more" };
  }

  #begin(first: string): boolean {
    this.#hasBegun = true;
    if (this.#mark(first)) return true;
    this.#isScalar = /[\w\-]/.test(first);
    this.#hasBegun = this.#isScalar;
    return this.#isScalar;
  }

  /** Takes a character that is no plain one. */
  #mark(char: string): boolean {
    if (char === '"') this.#isInString = true;
    else if (char === "{" || char === "[") this.#depth++;
    else if ((char === "}" || char === "]") && this.#depth > 0) this.#depth--;
    else return false;
    return true;
  }

  #skipString(text: string, at: number): number {
    if (this.#isEscaped) {
      this.#isEscaped = false;
      return at + 1;
    }
    const i = skip(inString, text, at);
    if (i === text.length) return i;
    if (text[i] === "\\") this.#isEscaped = true;
    else this.#isInString = false;
    return i + 1;
  }
}

/** Hands out a JSON value as it is written, without white space before it. */
export class JsonReader {
  /** All that is read is handed out. */
  readonly unfinished = "";
  readonly #scanner = new JsonScanner();
  #hasBegun = false;

  push(text: string): { readonly end: number; readonly status: ScanStatus; readonly json: string } {
    const { end, status } = this.#scanner.push(text, 0);
    const json = this.#hasBegun ? text.slice(0, end) : text.slice(0, end).trimStart();
    this.#hasBegun ||= json !== "";
    return { end, status, json };
  }
}

/** The first index from `at` on that a sticky pattern does not match. */
export function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return at + (pattern.exec(text)?.[0].length ?? 0);
}
