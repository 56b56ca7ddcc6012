/** Strings of JSON: how their characters are written. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import type { Spelling } from "../syntax/pattern.js";
import { lastCodePoint, type Range } from "../syntax/utf8.js";

/** Characters that JSON has no plain form for, and how JSON.stringify writes them. */
const escapes: ReadonlyMap<number, string> = new Map([
  ...Array.from({ length: 0x20 }, (_, code) => [code, `\\u${code.toString(16).padStart(4, "0")}`] as const),
  ...Object.entries({
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
  }).map(([character, written]) => [character.codePointAt(0)!, written] as const),
]);

/** Between the quotes, each character in one form: the one that JSON.stringify writes. */
export class JsonSpelling implements Spelling {
  readonly #write: ExpressionWriter;

  constructor(write: ExpressionWriter) {
    this.#write = write;
  }

  characters(ranges: readonly Range[]): Expression {
    const plain: Range[] = [];
    const escaped: Expression[] = [];
    for (const [first, last] of ranges) {
      let from = first;
      for (const code of [...escapes.keys()]
        .filter((one) => one >= first && one <= last)
        .sort((a, b) => a - b)) {
        if (from < code) plain.push([from, code - 1]);
        escaped.push(this.#write.text(escapes.get(code)!));
        from = code + 1;
      }
      if (from <= last) plain.push([from, last]);
    }
    return this.#write.either([...(plain.length > 0 ? [this.#write.characters(plain)] : []), ...escaped]);
  }
}

/** Any string, with all escapes that JSON has; those of surrogates only in pairs. */
export function anyString(write: ExpressionWriter): Expression {
  const text = (of: string): Expression => write.text(of);
  const oneOf = (characters: string): Expression =>
    write.bytes([...characters].map((one) => [one.charCodeAt(0), one.charCodeAt(0)] as const));
  const hex = oneOf("0123456789abcdefABCDEF");
  const low = write.concat([oneOf("dD"), oneOf("cdefCDEF"), hex, hex]);
  const high = write.concat([oneOf("dD"), oneOf("89abAB"), hex, hex]);
  const other = write.either([
    write.concat([oneOf("0123456789abcefABCEF"), hex, hex, hex]),
    write.concat([oneOf("dD"), oneOf("01234567"), hex, hex]),
  ]);
  const escape = write.concat([
    text("\\"),
    write.either([
      oneOf('"\\/bfnrt'),
      write.concat([text("u"), write.either([other, write.concat([high, text("\\u"), low])])]),
    ]),
  ]);
  const plain = write.characters([
    [0x20, 0x21],
    [0x23, 0x5b],
    [0x5d, lastCodePoint],
  ]);
  return write.concat([text('"'), write.repeat(write.either([plain, escape])), text('"')]);
}
