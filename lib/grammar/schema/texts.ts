/** What schemas say of strings, as expressions over their characters, however these are written. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { foundIn, patternSource, type Spelling } from "../syntax/pattern.js";
import { lastCodePoint } from "../syntax/utf8.js";
import { formats } from "./formats.js";
import { notString, otherThan } from "./negation.js";
import { type Conjunction, type SchemaAt, schemaError, type SchemaObject, shown } from "./schemaAt.js";
import { countOf } from "./values.js";

export class Texts {
  readonly #write: ExpressionWriter;
  readonly #spelling: Spelling;
  readonly #spelled: (text: string) => Expression;

  /** @param spelled a text as its characters are written */
  constructor(write: ExpressionWriter, spelling: Spelling, spelled: (text: string) => Expression) {
    this.#write = write;
    this.#spelling = spelling;
    this.#spelled = spelled;
  }

  /** Any text; each in one form. */
  get any(): Expression {
    return this.#length(0, Infinity);
  }

  /** Undefined: any. @throws ArgumentRangeError */
  of(list: Conjunction): Expression | undefined {
    const parts = list.flatMap((at) => this.#parts(at));
    return parts.length === 0 ? undefined : this.#write.both([this.any, ...parts]);
  }

  /** @throws ArgumentRangeError */
  pattern(pointer: string, source: string): Expression {
    return foundIn(
      { source: patternSource(source) },
      this.#write,
      this.#spelling,
      `schema: ${shown(pointer)}`,
    );
  }

  #parts(at: SchemaAt): readonly Expression[] {
    const write = this.#write;
    const { pattern, format } = at.schema;
    const parts: Expression[] = [];
    const [min, max] = [countOf(at, "minLength"), countOf(at, "maxLength")];
    if (min !== undefined || max !== undefined) parts.push(this.#length(min, max));
    if (pattern !== undefined) {
      if (typeof pattern !== "string")
        throw schemaError(at.pointer, "pattern", "expected a regular expression");
      parts.push(this.pattern(`${at.pointer}/pattern`, pattern));
    }
    const form = Object.hasOwn(formats, String(format)) ? formats[String(format)]! : undefined;
    if (form) parts.push(foundIn({ source: form.pattern }, write, this.#spelling));
    if (form?.maxLength !== undefined) parts.push(this.#length(0, form.maxLength));
    const [others, not] = [at.schema[otherThan], at.schema[notString]];
    for (const text of (others as readonly unknown[] | undefined) ?? [])
      if (typeof text === "string") parts.push(write.complement(this.#spelled(text)));
    if (not !== undefined) {
      const [only] = this.#parts({ ...at, schema: not as SchemaObject });
      parts.push(only === undefined ? write.nothing : write.complement(only));
    }
    return parts;
  }

  /** In characters, not in what they are written with. */
  #length(min = 0, max = Infinity): Expression {
    return this.#write.repeat(this.#spelling.characters([[0, lastCodePoint]]), min, max);
  }
}
