/**
 * Turns the raw text of an argument (`<parameter=city>Oslo</parameter>`) into JSON while it arrives. A string is handed out as it
 * comes, escaped; where the schema allows other types the text is kept until it is clear which it is.
 */
import { jsonType, type JsonType } from "./argumentTypes.js";
import { PythonLiteral } from "./pythonLiteral.js";

/** How a family writes values. */
export interface ValueRule {
  /** One line break at the beginning and one at the end are no part of the value. */
  readonly trimsLineBreaks: boolean;
  /** What a value is whose type the schema does not say: always text, or JSON if it reads so. */
  readonly untyped: "string" | "json";
}

const allTypes: ReadonlySet<JsonType> = new Set(["string", "number", "boolean", "null", "object", "array"]);
const onlyString: ReadonlySet<JsonType> = new Set(["string"]);
const words = ["true", "True", "false", "False", "null", "None"];
const maxScalarChars = 400;

export class RawValue {
  readonly #types: ReadonlySet<JsonType>;
  readonly #isTyped: boolean;
  readonly #trims: boolean;
  #isString: boolean;
  #isAtStart = true;
  /** What is not handed out: all of it while the type is open, else the line break at the end. */
  #held = "";
  #hasOpened = false;
  /** Only the end can tell whether it is JSON. */
  #waitsForEnd = false;

  constructor({ trimsLineBreaks, untyped }: ValueRule, types: ReadonlySet<JsonType> | undefined) {
    this.#trims = trimsLineBreaks;
    this.#isTyped = types !== undefined;
    this.#types = types ?? (untyped === "string" ? onlyString : allTypes);
    this.#isString = this.#types.size === 1 && this.#types.has("string");
  }

  /** @returns JSON that is final */
  push(text: string): string {
    let piece = text;
    if (this.#isAtStart && piece !== "") {
      if (this.#trims && piece.startsWith("\n")) piece = piece.slice(1);
      this.#isAtStart = false;
    }
    this.#held += piece;
    if (!this.#isString && !this.#waitsForEnd) this.#decide();
    return this.#isString ? this.#takeString() : "";
  }

  /** @returns the rest of the JSON */
  end(): string {
    if (this.#trims && this.#held.endsWith("\n")) this.#held = this.#held.slice(0, -1);
    const literal = this.#isString ? undefined : this.#literal(this.#held.trim());
    if (literal !== undefined) {
      this.#held = "";
      return literal;
    }
    const json = `${this.#open()}${escapeText(this.#held)}"`;
    this.#held = "";
    return json;
  }

  /** @returns what is there of a value whose end does not come, and not handed out: no whole JSON */
  abandon(): string {
    return this.#isString ? escapeText(this.#held) : this.#held;
  }

  #takeString(): string {
    const numHeld = this.#trims && this.#held.endsWith("\n") ? 1 : 0;
    const text = this.#held.slice(0, this.#held.length - numHeld);
    this.#held = numHeld === 0 ? "" : "\n";
    return text === "" ? "" : this.#open() + escapeText(text);
  }

  #open(): string {
    if (this.#hasOpened) return "";
    this.#hasOpened = true;
    return '"';
  }

  /** A value that cannot be anything else is a string. Looks at its beginning alone, however long it becomes. */
  #decide(): void {
    this.#waitsForEnd = !this.#types.has("string");
    if (this.#waitsForEnd) return;
    const text = this.#held.trimStart();
    const first = text[0] ?? "";
    if (first === "{" || first === "[" || first === '"') {
      this.#waitsForEnd =
        first === '"' ? !this.#isTyped : this.#types.has(first === "{" ? "object" : "array");
      this.#isString = !this.#waitsForEnd;
    } else if (this.#held.length > maxScalarChars) this.#isString = true;
    else if (first !== "") this.#isString = !this.#mayBeScalar(text.trimEnd());
  }

  #mayBeScalar(text: string): boolean {
    if (/^[-0-9]/.test(text)) return this.#types.has("number") && /^[-+.0-9eE]*$/.test(text);
    const word = words.find((one) => one.startsWith(text));
    return word !== undefined && this.#types.has(/^n/i.test(word) ? "null" : "boolean");
  }

  /** The text as it is if it is JSON of an allowed type, or what a Python literal stands for. */
  #literal(text: string): string | undefined {
    return [text, pythonJson(text)].find((json) => {
      const type = json === undefined ? undefined : typeOfJson(json);
      return type !== undefined && this.#types.has(type) && (type !== "string" || !this.#isTyped);
    });
  }
}

const escapeText = (text: string): string => JSON.stringify(text).slice(1, -1);

function typeOfJson(json: string): JsonType | undefined {
  try {
    return jsonType(JSON.parse(json));
  } catch {
    return undefined;
  }
}

function pythonJson(text: string): string | undefined {
  const { json, end, status } = new PythonLiteral().push(`${text} `);
  return status !== "stop" && end >= text.length ? json : undefined;
}
