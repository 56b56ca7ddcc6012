/**
 * JSON Schema as a grammar of the texts that JSON.stringify writes for valid values: properties in the order of the schema, nothing
 * between tokens unless it is asked for. A keyword that is not known is an error, which names it and where it stands.
 */
import { ArgumentRangeError } from "../../errors.js";
import type { Expression } from "../syntax/expressions.js";
import { type GrammarSymbol, GrammarWriter, type WrittenGrammar } from "../syntax/rules.js";
import { Alternatives } from "./alternatives.js";
import { arrayRules } from "./arrays.js";
import type { JsonType } from "./keywords.js";
import { allowsNumber } from "./literals.js";
import { objectRule } from "./objects.js";
import { Punctuation } from "./punctuation.js";
import { Scalars } from "./scalars.js";
import { isRecord } from "./resources.js";
import { type Conjunction, made, type Schema, schemaAt, type SchemaAt, schemaError } from "./schemaAt.js";
import { Sequences } from "./sequences.js";
import type { ValueWriter } from "./valueWriter.js";
import { identityOf, literalsOf, typeOf, typesOf } from "./values.js";

type Rules = readonly (readonly GrammarSymbol[])[];

export interface SchemaOptions {
  /** How many spaces, line feeds and tabs may stand behind { [ , and :, and before ] and }. */
  readonly whitespace?: number | undefined;
}

/** @throws ArgumentRangeError */
export function compileSchema(schema: Schema, { whitespace = 0 }: SchemaOptions = {}): WrittenGrammar {
  try {
    const compiler = new SchemaCompiler(schema, new GrammarWriter(), whitespace);
    return compiler.grammar.finish(compiler.symbolOf([compiler.root]));
  } catch (error) {
    if (!(error instanceof RangeError) || error instanceof ArgumentRangeError) throw error;
    throw new ArgumentRangeError(`schema: it is nested too deeply: ${error.message}`);
  }
}

/** A schema whose values are a part of a grammar. */
export class SchemaCompiler implements ValueWriter {
  readonly grammar: GrammarWriter;
  readonly scalars: Scalars;
  readonly sequences: Sequences;
  readonly punctuation: Punctuation;
  readonly alternatives: Alternatives;
  readonly root: SchemaAt;
  readonly #hasWhitespace: boolean;
  /** By the keys of the schemas of a conjunction. */
  readonly #known = new Map<string, GrammarSymbol>();

  constructor(schema: Schema, grammar: GrammarWriter, whitespace = 0) {
    this.grammar = grammar;
    this.scalars = new Scalars(grammar.expressions);
    this.sequences = new Sequences(grammar);
    this.punctuation = new Punctuation(grammar, whitespace);
    this.alternatives = new Alternatives(schema);
    this.root = schemaAt(schema, "");
    this.#hasWhitespace = whitespace > 0;
  }

  symbolOf(conjunction: Conjunction): GrammarSymbol {
    const byKey = new Map(conjunction.map((at) => [at.key, at]));
    const key = JSON.stringify([...byKey.keys()].sort());
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const symbol = this.grammar.nonterminal();
    this.#known.set(key, symbol); // before its parts, which may be it again
    for (const list of this.alternatives.of([...byKey.values()]))
      for (const right of list.length === 0 ? this.#any(symbol) : this.#values(list))
        this.grammar.rule(symbol, right);
    return symbol;
  }

  namesOf(conjunction: Conjunction): Expression {
    const write = this.grammar.expressions;
    const lists = this.alternatives.of(conjunction).filter((list) => typesOf(list).includes("string"));
    return write.either(
      lists.map((list) => {
        const literals = literalsOf(list);
        const names = [...(literals?.values() ?? [])].filter((one) => typeof one === "string");
        const spelled = names.map((name) => this.scalars.spelled(name));
        return write.both([...(literals ? [write.either(spelled)] : []), this.scalars.text(list)]);
      }),
    );
  }

  /** Any value, whose parts are any value. */
  #any(any: GrammarSymbol): Rules {
    const { grammar, punctuation, scalars, sequences } = this;
    const string = grammar.terminal(scalars.anyString);
    const member = grammar.choice([[string, punctuation.colon, any]]);
    const words = grammar.expressions.either(
      ["null", "true", "false"].map((word) => grammar.expressions.text(word)),
    );
    const list = (of: GrammarSymbol): GrammarSymbol =>
      sequences.separated(of, punctuation.comma, 0, Infinity);
    return [
      [string],
      [grammar.terminal(scalars.anyNumber)],
      [grammar.terminal(words)],
      punctuation.enclosed("{}", [list(member)]),
      punctuation.enclosed("[]", [list(any)]),
    ];
  }

  /** The forms of values that are valid for all of these, which have no combinations. */
  #values(list: Conjunction): Rules {
    const types = typesOf(list);
    const literals = literalsOf(list);
    if (literals)
      return this.#literals(
        [...literals.values()].filter((one) => types.includes(typeOf(one))),
        list,
      );
    // Every integer is a number.
    const own = types.filter((type) => type !== "integer" || !types.includes("number"));
    return own.flatMap((type) => this.#ofType(type, list));
  }

  #literals(values: readonly unknown[], list: Conjunction): Rules {
    const write = this.grammar.expressions;
    const isPlain = list.every(({ schema }) =>
      Object.keys(schema).every((key) => plainBesideLiterals.has(key)),
    );
    const texts: Expression[] = [];
    const rules: (readonly GrammarSymbol[])[] = [];
    for (const value of values) {
      const text = write.text(JSON.stringify(value));
      if (typeof value === "string") texts.push(this.#literalString(value, list));
      else if (typeof value === "number") texts.push(...(allowsNumber(list, value) ? [text] : []));
      else if (typeof value !== "object" || value === null) texts.push(text);
      else if (isPlain && !this.#hasWhitespace) texts.push(text);
      else rules.push(...this.#ofType(typeOf(value), [literalSchema(list[0]!, value), ...list]));
    }
    return texts.length === 0 ? rules : [...rules, [this.grammar.terminal(write.either(texts))]];
  }

  /** If it is valid for what is said of strings besides. */
  #literalString(value: string, list: Conjunction): Expression {
    const text = this.grammar.expressions.text(JSON.stringify(value));
    if (this.scalars.texts.of(list) === undefined) return text;
    if (!/\p{Surrogate}/u.test(value))
      return this.grammar.expressions.both([text, this.scalars.string(list)]);
    const { schema, pointer } = list.find(({ schema }) => ["const", "enum"].some((key) => key in schema))!;
    const keyword = "const" in schema ? "const" : "enum";
    throw schemaError(pointer, keyword, "half of a surrogate pair, with keywords of strings: not supported");
  }

  #ofType(type: JsonType, list: Conjunction): Rules {
    const { grammar } = this;
    switch (type) {
      case "null":
        return [[grammar.text("null")]];
      case "boolean":
        return [[grammar.text("true")], [grammar.text("false")]];
      case "array":
        return arrayRules(list, this);
      case "object":
        return [objectRule(list, this)];
      case "string":
        return [[grammar.terminal(this.scalars.string(list))]];
      case "integer":
      case "number":
        return [[grammar.terminal(this.scalars.number(type, list))]];
    }
  }
}

const plainBesideLiterals: ReadonlySet<string> = new Set(["type", "enum", "const"]);

/** An array or object as a schema that is valid for nothing else. */
function literalSchema(at: SchemaAt, value: unknown): SchemaAt {
  const name = `literal ${identityOf(value)}`;
  if (Array.isArray(value)) {
    const prefixItems = value.map((one: unknown) => ({ const: one }));
    return made(at, name, { prefixItems, minItems: value.length, maxItems: value.length });
  }
  const entries = isRecord(value) ? Object.entries(value) : [];
  return made(at, name, {
    properties: Object.fromEntries(entries.map(([key, one]) => [key, { const: one }])),
    required: entries.map(([key]) => key),
    additionalProperties: false,
  });
}
