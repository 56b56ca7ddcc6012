/**
 * Splits a template into texts and tags, and reads strings, as Jinja's lexer does with trim_blocks and lstrip_blocks. Only the
 * inside of tags is left to the lexer of @huggingface/jinja, which strips white space in strings and texts too, and knows
 * neither `{% raw %}` nor signs such as `{%+`.
 */
import { tokenize } from "@huggingface/jinja";
import { TemplateError } from "./values.js";

export type Token = ReturnType<typeof tokenize>[number] & {
  /** Operators of one pair of brackets have the same; undefined for other tokens. */
  readonly group?: number;
};
export type Type = Token["type"];

export const token = (type: Type, value: string): Token => ({ type, value });

/** White space of Python's regular expressions and of its `rstrip`. */
const space = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const begin = /\{([%#{])([-+]?)/g;
const rawBegin = new RegExp(`${space}*raw${space}*(?:-%\\}${space}*|%\\})`, "y");
const rawEnd = new RegExp(`\\{%([-+]?)${space}*endraw${space}*(?:\\+%\\}|-%\\}${space}*|%\\}\\n?)`, "g");
const commentEnd = new RegExp(`\\+#\\}|-#\\}${space}*|#\\}\\n?`, "g");
const statementEnd = new RegExp(`\\+%\\}|-%\\}${space}*|%\\}\\n?`, "y");
const expressionEnd = new RegExp(`-\\}\\}${space}*|\\}\\}`, "y");
const literal = /'[^'\\]*(?:\\.[^'\\]*)*'|"[^"\\]*(?:\\.[^"\\]*)*"/sy;
const blank = new RegExp(`^${space}*$`);
const blankChar = new RegExp(space);

/** The tokens of a template. @throws TemplateError, or an error of the library */
export function lex(source: string): readonly Token[] {
  return new Lexer(source.replace(/\r\n?/g, "\n").replace(/\n$/, "")).run();
}

class Lexer {
  readonly #source: string;
  readonly #tokens: Token[] = [];
  #at = 0;
  /** True if what was read last ends a line, or nothing was. */
  #startsLine = true;

  constructor(source: string) {
    this.#source = source;
  }

  run(): readonly Token[] {
    for (;;) {
      begin.lastIndex = this.#at;
      const match = begin.exec(this.#source);
      this.#text(this.#source.slice(this.#at, match?.index), match?.[2], match !== null && match[1] !== "{");
      if (!match) return this.#tokens;
      this.#at = begin.lastIndex;
      rawBegin.lastIndex = this.#at;
      if (match[1] === "#") {
        this.#find(commentEnd, "a comment");
        this.#behind(commentEnd.lastIndex);
      } else if (match[1] === "%" && rawBegin.test(this.#source)) this.#raw(rawBegin.lastIndex);
      else if (match[1] === "%") this.#tag("{%", statementEnd);
      else this.#tag("{{", expressionEnd);
    }
  }

  /** Adds the text before a tag, without what the sign of the tag takes away. */
  #text(text: string, sign: string | undefined, isStripped: boolean): void {
    let end = text.length;
    if (sign === "-") while (end > 0 && blankChar.test(text[end - 1]!)) end--;
    else if (sign !== "+" && isStripped) {
      const line = text.lastIndexOf("\n") + 1;
      if ((line > 0 || this.#startsLine) && blank.test(text.slice(line))) end = line;
    }
    if (end > 0) this.#tokens.push(token("Text", text.slice(0, end)));
  }

  /** The end of what began last. */
  #find(end: RegExp, what: string): RegExpExecArray {
    end.lastIndex = this.#at;
    const match = end.exec(this.#source);
    if (match) return match;
    throw new TemplateError(`it cannot be parsed: ${what} does not end`);
  }

  #behind(at: number): void {
    this.#at = at;
    this.#startsLine = this.#source[at - 1] === "\n";
  }

  #raw(start: number): void {
    this.#behind(start);
    const end = this.#find(rawEnd, "a raw block");
    this.#text(this.#source.slice(start, end.index), end[1], true);
    this.#behind(rawEnd.lastIndex);
  }

  /** Adds the tokens of a statement or an expression; each string is kept from the library and put in again. */
  #tag(open: "{%" | "{{", end: RegExp): void {
    const strings: string[] = [];
    let [inside, depth] = ["", 0];
    for (;;) {
      end.lastIndex = literal.lastIndex = this.#at;
      if (depth === 0 && end.test(this.#source)) break;
      const character = this.#source[this.#at];
      if (character === undefined)
        throw new TemplateError("it cannot be parsed: it ends inside a block or an expression");
      if (character === "'" || character === '"') {
        const [text] = literal.exec(this.#source) ?? [];
        if (text === undefined) throw new TemplateError("it cannot be parsed: a string does not end");
        inside += `"${strings.length}"`;
        strings.push(unescapeString(text.slice(1, -1)));
        this.#at = literal.lastIndex;
        continue;
      }
      if ("([{".includes(character)) depth++;
      else if (")]}".includes(character)) depth--;
      inside += character;
      this.#at++;
    }
    this.#behind(end.lastIndex);
    // As an expression: the library cuts `{% generation %}` out before it looks at tokens.
    const tokens: Token[] = tokenize(`{{ ${inside} }}`).map((one: Token) =>
      one.type === "StringLiteral" ? token("StringLiteral", strings[Number(one.value)]!) : one,
    );
    if (open === "{%") {
      tokens[0] = token("OpenStatement", "{%");
      tokens[tokens.length - 1] = token("CloseStatement", "%}");
    }
    for (const one of tokens) this.#tokens.push(one);
  }
}

const escapes: Readonly<Record<string, string>> = {
  ...{
    n: "\n",
    t: "\t",
    r: "\r",
    a: "\x07",
    b: "\b",
    f: "\f",
    v: "\v",
    "\n": "",
    "\\": "\\",
    "'": "'",
    '"': '"',
  },
};
const escape = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{1,3})|([^]))/g;

/** Python's "unicode-escape": a backslash before another character stays. @throws TemplateError */
function unescapeString(text: string): string {
  return text.replace(
    escape,
    (all: string, x?: string, u?: string, U?: string, octal?: string, other?: string) => {
      const hex = x ?? u ?? U;
      const code = hex === undefined ? Number.parseInt(octal ?? "", 8) : Number.parseInt(hex, 16);
      if (code <= 0x10ffff) return String.fromCodePoint(code);
      if (other === undefined || "xuUN".includes(other)) {
        throw new TemplateError(`it cannot be parsed: the escape ${all} in a string`);
      }
      return escapes[other] ?? all;
    },
  );
}
