/** What schemas say of strings and numbers, as expressions over the texts of JSON. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { foundIn } from "../syntax/pattern.js";
import { lastCodePoint } from "../syntax/utf8.js";
import { formats } from "./formats.js";
import { Numbers } from "./numbers.js";
import { type SchemaAt, schemaError } from "./refs.js";
import { anyString, JsonSpelling } from "./strings.js";

export class Scalars {
  readonly #write: ExpressionWriter;
  readonly #numbers: Numbers;
  readonly #spelling: JsonSpelling;

  constructor(write: ExpressionWriter) {
    this.#write = write;
    this.#numbers = new Numbers(write);
    this.#spelling = new JsonSpelling(write);
  }

  get anyNumber(): Expression {
    return this.#numbers.number;
  }

  get anyString(): Expression {
    return anyString(this.#write);
  }

  /** Any text, as it stands between quotes. */
  get anyName(): Expression {
    return this.#write.repeat(this.#spelling.characters([[0, lastCodePoint]]));
  }

  /** A text as it stands between quotes. */
  spelled(text: string): Expression {
    return this.#write.text(JSON.stringify(text).slice(1, -1));
  }

  of(type: "string" | "integer" | "number", list: readonly SchemaAt[]): Expression {
    if (type === "string") return this.string(list);
    const bounds = list.map((at) => this.#number(type, at)).filter((one) => one !== undefined);
    const isInteger = type === "integer";
    if (bounds.length === 0) return isInteger ? this.#numbers.integer : this.#numbers.number;
    return this.#write.both([...(isInteger ? [this.#numbers.integer] : []), ...bounds]);
  }

  string(list: readonly SchemaAt[]): Expression {
    const write = this.#write;
    const quoted = (inner: Expression): Expression => write.concat([write.text('"'), inner, write.text('"')]);
    const parts = list.flatMap((at) => {
      const { pattern, format } = at.schema;
      const [min, max] = [countOf(at, "minLength", 0), countOf(at, "maxLength", Infinity)];
      const some: Expression[] = [];
      if (min > 0 || max < Infinity)
        some.push(write.repeat(this.#spelling.characters([[0, lastCodePoint]]), min, max));
      if (pattern !== undefined) some.push(this.pattern(at, "pattern", pattern));
      if (format !== undefined) {
        const source = Object.hasOwn(formats, String(format)) ? formats[String(format)] : undefined;
        if (source === undefined)
          throw schemaError(at.pointer, "format", `${JSON.stringify(format)} is not supported`);
        some.push(foundIn({ source }, write, this.#spelling));
      }
      return some;
    });
    return parts.length === 0 ? anyString(write) : quoted(write.both(parts));
  }

  pattern({ pointer }: Pick<SchemaAt, "pointer">, keyword: string, source: unknown): Expression {
    if (typeof source !== "string") throw schemaError(pointer, keyword, "expected a regular expression");
    return foundIn({ source }, this.#write, this.#spelling, `schema: ${pointer}/${keyword}`);
  }

  #number(type: "integer" | "number", at: SchemaAt): Expression | undefined {
    const { multipleOf } = at.schema;
    const [minimum, maximum] = [numberOf(at, "minimum"), numberOf(at, "maximum")];
    const [above, below] = [numberOf(at, "exclusiveMinimum"), numberOf(at, "exclusiveMaximum")];
    const parts: Expression[] = [];
    const between = this.#numbers.between.bind(this.#numbers);
    if (minimum !== undefined) parts.push(between({ min: minimum }));
    if (maximum !== undefined) parts.push(between({ max: maximum }));
    if (above !== undefined) parts.push(between({ min: above, isMinExclusive: true }));
    if (below !== undefined) parts.push(between({ max: below, isMaxExclusive: true }));
    if (multipleOf !== undefined) {
      const decimals = -Math.log10(numberOf(at, "multipleOf")!);
      if (!Number.isInteger(decimals) || decimals < 0 || (type === "integer" && decimals > 0))
        throw schemaError(
          at.pointer,
          "multipleOf",
          "expected 1, 0.1, 0.01 and so on; others are not supported",
        );
      parts.push(this.#numbers.decimals(decimals));
    }
    return parts.length === 0 ? undefined : this.#write.both(parts);
  }
}

function numberOf({ schema, pointer }: SchemaAt, keyword: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
  throw schemaError(pointer, keyword, `expected a number, got ${JSON.stringify(value)}`);
}

function countOf(at: SchemaAt, keyword: string, otherwise: number): number {
  const value = numberOf(at, keyword);
  if (value === undefined) return otherwise;
  if (Number.isInteger(value) && value >= 0) return value;
  throw schemaError(at.pointer, keyword, `expected a number of 0 or more, got ${value}`);
}
