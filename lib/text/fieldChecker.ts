/** Checks fields of a tokenizer's files, which are untrusted: what is wrong is a TextError that names file, field, expected and got. */
import { isObject, show, type JsonObject } from "../checkpoint/json.js";
import { TextError } from "../errors.js";

export class FieldChecker {
  readonly #file: string;

  /** @param file named in errors */
  constructor(file: string) {
    this.#file = file;
  }

  object(field: string, value: unknown): JsonObject {
    return isObject(value) ? value : this.fail(field, "an object", value);
  }

  expect(field: string, value: unknown, expected: string, accept: (value: unknown) => boolean): void {
    if (!accept(value)) this.fail(field, expected, value);
  }

  /** Fields that are true or false where they are not absent or null. What counts as true elsewhere, such as "false", is refused. */
  flags(at: string, object: JsonObject, names: readonly string[]): void {
    for (const name of names)
      this.expect(`${at}.${name}`, object[name] ?? false, "true or false", isOneOf(true, false));
  }

  /** @param field empty for the file as a whole */
  fail(field: string, expected: string, got: unknown): never {
    const where = field === "" ? "" : `${field}: `;
    const message = `${this.#file}: ${where}expected ${expected}, got ${show(got)}`;
    throw new TextError("ERR_TOKENIZER", message, this.#file);
  }
}

export function isIntIn(low: number, high: number): (value: unknown) => boolean {
  return (value) => Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
}

export function isText(minChars: number, maxChars: number): (value: unknown) => boolean {
  return (value) => typeof value === "string" && value.length >= minChars && value.length <= maxChars;
}

export function isArrayOfAtMost(maxItems: number): (value: unknown) => boolean {
  return (value) => Array.isArray(value) && value.length <= maxItems;
}

export function isOneOf(...choices: readonly unknown[]): (value: unknown) => boolean {
  return (value) => choices.includes(value);
}
