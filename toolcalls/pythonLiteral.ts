/**
 * Turns a Python literal into JSON while it arrives: strings of both quotes, also tripled, raw and with escapes, numbers, True, False,
 * None, lists, tuples and dicts. What is no literal (a name, an expression) stops it.
 */
import type { ScanStatus } from "./jsonScanner.js";

const words: Readonly<Record<string, string>> = {
  ...{ True: "true", False: "false", None: "null" },
  ...{ true: "true", false: "false", null: "null" },
};
const controlEscapes: Readonly<Record<string, string>> = {
  ...{ n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", a: "\x07", v: "\v" },
  ...{ "\\": "\\", "'": "'", '"': '"', "\n": "" },
};
const numDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };

type Mode = "value" | "word" | "number" | "quote" | "text" | "escape" | "digits" | "after";

export class PythonLiteral {
  #mode: Mode = "value";
  /** Brackets that close what is open. */
  readonly #open: string[] = [];
  /** A word, a number, the quotes or the escape that is being read. */
  #raw = "";
  /** What ends the string: one quote or three. */
  #quotes = "";
  /** Quotes at the end of a text that may end a string of three. */
  #numQuotes = 0;
  #isRaw = false;
  /** A comma that is written if a value follows. */
  #hasComma = false;
  #json = "";

  /** Text that was read and not handed out. */
  get unfinished(): string {
    if (this.#mode === "escape") return "\\";
    if (this.#mode === "digits") return `\\${this.#raw}`;
    return this.#mode === "word" || this.#mode === "number" ? this.#raw : "";
  }

  /** @returns how much of the text belongs to the value, and the JSON that it adds */
  push(text: string): { readonly end: number; readonly status: ScanStatus; readonly json: string } {
    this.#json = "";
    let i = 0;
    let status: ScanStatus = "more";
    for (; i < text.length && status === "more";) {
      const used = this.#char(text[i]!);
      if (used === "stop" || used === "end") status = used;
      else if (used) i++;
    }
    return { end: i, status, json: this.#json };
  }

  /** @returns whether the character is used up, or is to be read once more */
  #char(char: string): boolean | "end" | "stop" {
    switch (this.#mode) {
      case "value":
        return this.#value(char);
      case "after":
        return this.#after(char);
      case "word":
        return this.#word(char);
      case "number":
        return this.#number(char);
      case "quote":
        return this.#quote(char);
      case "text":
        return this.#text(char);
      case "escape":
        return this.#escape(char);
      case "digits":
        return this.#digits(char);
    }
  }

  #value(char: string): boolean | "stop" {
    if (/\s/.test(char)) return true;
    if (char === this.#open.at(-1)) return this.#close(char);
    if (this.#hasComma) this.#json += ",";
    this.#hasComma = false;
    this.#raw = char;
    if (char === "[" || char === "(" || char === "{") {
      this.#open.push(char === "[" ? "]" : char === "(" ? ")" : "}");
      this.#json += char === "{" ? "{" : "[";
    } else if (char === "'" || char === '"') this.#mode = "quote";
    else if (/[0-9+\-.]/.test(char)) this.#mode = "number";
    else if (/[A-Za-z]/.test(char)) this.#mode = "word";
    else return "stop";
    return true;
  }

  #close(char: string): true {
    this.#open.pop();
    this.#hasComma = false;
    this.#json += char === "}" ? "}" : "]";
    this.#mode = "after";
    return true;
  }

  #after(char: string): boolean | "end" | "stop" {
    if (this.#open.length === 0) return "end";
    if (/\s/.test(char)) return true;
    if (char === this.#open.at(-1)) return this.#close(char);
    if (char === ",") this.#hasComma = true;
    else if (char === ":" && this.#open.at(-1) === "}") this.#json += ":";
    else return "stop";
    this.#mode = "value";
    return true;
  }

  #word(char: string): boolean | "stop" {
    if (/\w/.test(char)) {
      this.#raw += char;
      return this.#raw.length > 8 ? "stop" : true;
    }
    if ((char === "'" || char === '"') && /^(?:r|u|b|br|rb)$/i.test(this.#raw)) {
      this.#isRaw = /r/i.test(this.#raw);
      this.#raw = char;
      this.#mode = "quote";
      return true;
    }
    const word = words[this.#raw];
    if (word === undefined) return "stop";
    this.#json += word;
    this.#mode = "after";
    return false;
  }

  #number(char: string): boolean | "stop" {
    if (/[\w+\-.]/.test(char)) {
      this.#raw += char;
      return this.#raw.length > 1_000 ? "stop" : true;
    }
    const json = jsonNumber(this.#raw);
    if (json === undefined) return "stop";
    this.#json += json;
    this.#mode = "after";
    return false;
  }

  /** Behind the first quote of a string: the second and third tell how it ends. */
  #quote(char: string): boolean {
    const quote = this.#raw[0]!;
    if (char === quote && this.#raw.length < 3) {
      this.#raw += char;
      if (this.#raw.length < 3) return true;
      this.#json += '"';
      return this.#beginText(this.#raw);
    }
    this.#json += '"';
    if (this.#raw.length === 1) return this.#beginText(quote) && false;
    this.#json += '"'; // two quotes and something else: an empty string
    this.#mode = "after";
    return false;
  }

  #beginText(quotes: string): true {
    this.#quotes = quotes;
    this.#numQuotes = 0;
    this.#mode = "text";
    return true;
  }

  #text(char: string): boolean {
    if (char === this.#quotes[0]) {
      if (++this.#numQuotes < this.#quotes.length) return true;
      this.#json += '"';
      this.#isRaw = false;
      this.#mode = "after";
      return true;
    }
    this.#add(this.#quotes[0]!.repeat(this.#numQuotes));
    this.#numQuotes = 0;
    if (char === "\\") this.#mode = "escape";
    else this.#add(char);
    return true;
  }

  #escape(char: string): boolean {
    this.#mode = "text";
    const length = numDigits[char];
    if (this.#isRaw) this.#add(`\\${char}`);
    else if (length !== undefined || /[0-7]/.test(char)) {
      this.#raw = char;
      this.#mode = "digits";
    } else this.#add(controlEscapes[char] ?? `\\${char}`);
    return true;
  }

  #digits(char: string): boolean {
    const kind = this.#raw[0]!;
    const wanted = numDigits[kind];
    const isDigit = wanted === undefined ? /[0-7]/.test(char) : /[0-9a-fA-F]/.test(char);
    const length = wanted === undefined ? 3 : wanted + 1;
    if (isDigit) this.#raw += char;
    if (isDigit && this.#raw.length < length) return true;
    const code = wanted === undefined ? parseInt(this.#raw, 8) : parseInt(this.#raw.slice(1), 16);
    const isWhole = wanted === undefined || this.#raw.length === length;
    this.#add(isWhole && code <= 0x10ffff ? String.fromCodePoint(code) : `\\${this.#raw}`);
    this.#mode = "text";
    return isDigit;
  }

  #add(text: string): void {
    // Half characters stay as they are: the other half follows.
    this.#json += /^[\ud800-\udfff]$/.test(text) ? text : JSON.stringify(text).slice(1, -1);
  }
}

/** A number of Python as JSON has it; undefined if it is none. */
function jsonNumber(text: string): string | undefined {
  const plain = text.replaceAll(/(?<=\w)_(?=\w)/g, "").replace(/^\+/, "");
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(plain)) return plain;
  if (/^0[xob][0-9a-f]+$/i.test(plain)) return wholeNumber(plain);
  const value = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/.test(plain) ? Number(plain) : NaN;
  return Number.isFinite(value) ? String(value) : undefined;
}

function wholeNumber(text: string): string | undefined {
  try {
    return String(BigInt(text));
  } catch {
    return undefined;
  }
}
