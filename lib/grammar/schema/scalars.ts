/** What schemas say of strings and numbers, as expressions over the texts of JSON. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { decimalOf } from "./decimals.js";
import { numberFormats } from "./formats.js";
import { noInteger, otherThan } from "./negation.js";
import { type NumberBounds, Numbers } from "./numbers.js";
import { type Conjunction, type SchemaAt, schemaError } from "./schemaAt.js";
import { anyString, JsonSpelling } from "./strings.js";
import { Texts } from "./texts.js";
import { numberOf } from "./values.js";

export class Scalars {
  readonly #write: ExpressionWriter;
  readonly #numbers: Numbers;
  /** As they stand between quotes. */
  readonly texts: Texts;

  constructor(write: ExpressionWriter) {
    this.#write = write;
    this.#numbers = new Numbers(write);
    this.texts = new Texts(write, new JsonSpelling(write), (text) => this.spelled(text));
  }

  get anyNumber(): Expression {
    return this.#numbers.number;
  }

  get anyString(): Expression {
    return anyString(this.#write);
  }

  /** A text as it stands between quotes. */
  spelled(text: string): Expression {
    return this.#write.text(JSON.stringify(text).slice(1, -1));
  }

  /** @throws ArgumentRangeError */
  string(list: Conjunction): Expression {
    const inner = this.texts.of(list);
    return inner === undefined ? anyString(this.#write) : this.quoted(inner);
  }

  quoted(inner: Expression): Expression {
    const quote = this.#write.text('"');
    return this.#write.concat([quote, inner, quote]);
  }

  /** Texts between quotes that are valid for all; each in one form. @throws ArgumentRangeError */
  text(list: Conjunction): Expression {
    return this.texts.of(list) ?? this.texts.any;
  }

  /** @throws ArgumentRangeError */
  number(type: "integer" | "number", list: Conjunction): Expression {
    const numbers = this.#numbers;
    const isInteger = type === "integer";
    const parts = list.flatMap((at) => this.#numberParts(at, isInteger));
    if (isInteger) return this.#write.both([numbers.integer, ...parts]);
    return parts.length === 0 ? numbers.number : this.#write.both([numbers.decimal, ...parts]);
  }

  #numberParts(at: SchemaAt, isInteger: boolean): readonly Expression[] {
    const numbers = this.#numbers;
    const parts: Expression[] = [];
    const add = (keyword: string, bounds: (value: number) => NumberBounds): void => {
      const value = numberOf(at, keyword);
      if (value !== undefined) parts.push(...numbers.between(bounds(value)));
    };
    add("minimum", (min) => ({ min }));
    add("maximum", (max) => ({ max }));
    add("exclusiveMinimum", (min) => ({ min, isExclusive: true }));
    add("exclusiveMaximum", (max) => ({ max, isExclusive: true }));
    const { format, multipleOf } = at.schema;
    const power = numberFormats.get(format as string);
    if (power !== undefined) parts.push(numbers.integer, ...numbers.between({ min: -power, max: power - 1 }));
    if (multipleOf !== undefined) parts.push(this.#multiples(at, isInteger));
    const others = (at.schema[otherThan] as readonly unknown[] | undefined)?.filter(isNumber) ?? [];
    if (others.length > 0) parts.push(numbers.exact, ...others.map((one) => numbers.except(one)));
    if (at.schema[noInteger] !== undefined) parts.push(numbers.fractional);
    return parts;
  }

  #multiples(at: SchemaAt, isInteger: boolean): Expression {
    const value = numberOf(at, "multipleOf")!;
    if (value <= 0) throw schemaError(at.pointer, "multipleOf", `expected a number above 0, got ${value}`);
    const multiples = this.#numbers.multiples(decimalOf(value), isInteger);
    if (multiples !== undefined) return multiples;
    const supported = "1, 0.1, 0.01 and so on, and what divides 10000, or, with up to four decimals, 1";
    throw schemaError(at.pointer, "multipleOf", `only ${supported}, is supported, got ${value}`);
  }
}

const isNumber = (value: unknown): value is number => typeof value === "number";
