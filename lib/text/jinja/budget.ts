/**
 * What the operations of one rendering share: how texts read, and its bounds. Bounds are steps, characters and list items, each alone and in sum. A template is untrusted, and what it may
 * build decides how long it takes and whether V8 survives it: strings of 2^29 characters and arrays of 2^27 elements abort
 * the process, from any thread. All sums stay far below the heap that the rendering thread has.
 */
import type { Paint } from "./paint.js";
import { TemplateError, type Value } from "./values.js";

/** One string, in UTF-16 units: about 4 million tokens. */
export const maxStringLength = 1 << 24;
/** One list. */
const maxListLength = 1 << 20;
/** The number of nodes evaluated; a template takes some dozen per message. */
const maxSteps = 10_000_000;
/** Characters read or written by all operations together, and items of all lists together. */
const maxCharacters = 1 << 27;
const maxItems = 1 << 22;

export class Budget {
  #steps = 0;
  #characters = 0;
  #items = 0;

  /** @param paint of texts that others wrote; undefined if all are the template's own */
  constructor(readonly paint?: Paint) {}

  /** A text as it reads, whoever wrote it. */
  plain(text: string): string {
    return this.paint?.plain(text) ?? text;
  }

  /** Counts work that has no size. */
  step(): void {
    if (++this.#steps > maxSteps) throw new TemplateError(`the template takes more than ${maxSteps} steps`);
  }

  /** Counts an operation that reads or writes this many characters; to be called before it. */
  characters(count: number): void {
    this.#characters += count;
    if (this.#characters > maxCharacters) {
      throw new TemplateError(`the template works on more than ${maxCharacters} characters`);
    }
  }

  /** Refuses a string that would be too long; joining two strings is counted by those who read the result. */
  length(length: number): void {
    if (!(length <= maxStringLength)) {
      throw new TemplateError(`the template makes a string of more than ${maxStringLength} characters`);
    }
  }

  /** Counts a string that is going to be made. */
  string(length: number): void {
    this.length(length);
    this.characters(length);
  }

  /** Counts a list that is going to be made. */
  items(length: number): void {
    if (!(length <= maxListLength)) {
      throw new TemplateError(`the template makes a list of more than ${maxListLength} items`);
    }
    this.#items += length;
    if (this.#items > maxItems)
      throw new TemplateError(`the template makes more than ${maxItems} list items`);
  }

  /** Counts a list that was made from one that was counted, and so has a bounded length. */
  list<T extends Value>(items: readonly T[]): readonly T[] {
    this.items(items.length);
    return items;
  }
}

/** A string that is written piece by piece. */
export class TextBuilder {
  readonly #budget: Budget;
  readonly #parts: string[] = [];
  #length = 0;

  constructor(budget: Budget) {
    this.#budget = budget;
  }

  add(text: string): void {
    if (text === "") return;
    this.#budget.step();
    this.#budget.characters(text.length);
    this.#length += text.length;
    this.#budget.length(this.#length);
    this.#parts.push(text);
  }

  toString(): string {
    return this.#parts.join("");
  }
}
