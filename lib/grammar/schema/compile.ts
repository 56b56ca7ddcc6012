/**
 * JSON Schema as a grammar of the texts that JSON.stringify writes for valid values: properties in the order of the schema, nothing
 * between tokens. A keyword that is not known is an error, which names it and where it stands.
 */
import { ArgumentRangeError } from "../../errors.js";
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { type GrammarSymbol, GrammarWriter, type WrittenGrammar } from "../syntax/rules.js";
import { arrayShape, type ObjectShape, objectShape } from "./containers.js";
import { areDisjoint } from "./disjoint.js";
import { annotations, combining, type JsonType, jsonTypes, keywordTypes } from "./keywords.js";
import { type Schema, type SchemaAt, schemaError, SchemaRefs } from "./refs.js";
import { Scalars } from "./scalars.js";
import { isFree, isOfType, literalsOf, typesOf } from "./values.js";

/** What a schema may cost whoever sends it. */
const maxAlternatives = 1000;
const maxRules = 100_000;

/** @throws ArgumentRangeError */
export function compileSchema(schema: Schema): WrittenGrammar {
  const compiler = new SchemaCompiler(schema);
  return compiler.finish();
}

/** A schema whose values are a part of a grammar. */
export class SchemaCompiler {
  readonly #grammar: GrammarWriter;
  readonly #write: ExpressionWriter;
  readonly #scalars: Scalars;
  readonly refs: SchemaRefs;
  readonly root: SchemaAt;
  /** By the pointers of a conjunction. */
  readonly #known = new Map<string, GrammarSymbol>();
  #any: GrammarSymbol | undefined;

  constructor(schema: Schema, grammar = new GrammarWriter()) {
    this.#grammar = grammar;
    this.#write = grammar.expressions;
    this.#scalars = new Scalars(this.#write);
    this.refs = new SchemaRefs(schema, maxAlternatives, areDisjoint);
    this.root = this.refs.at(schema, "");
  }

  finish(): WrittenGrammar {
    return this.#grammar.finish(this.symbolOf([this.root]));
  }

  /** Values that are valid for all of these. */
  symbolOf(conjunction: readonly SchemaAt[]): GrammarSymbol {
    if (conjunction.length === 0) return this.any; // its key would be that of the root, whose pointer is empty
    const key = conjunction
      .map(({ pointer }) => pointer)
      .sort()
      .join("\n");
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const symbol = this.#grammar.nonterminal();
    this.#known.set(key, symbol); // before its parts, which may be it again
    for (const list of this.refs.alternatives(conjunction))
      for (const right of this.#values(list)) this.#grammar.rule(symbol, right);
    if (this.#grammar.numRules > maxRules)
      throw new ArgumentRangeError(`schema: it is too large: more than ${maxRules} rules`);
    return symbol;
  }

  /** The forms of values that are valid for all of these, which have no combinations. */
  #values(list: readonly SchemaAt[]): readonly (readonly GrammarSymbol[])[] {
    for (const { schema, pointer } of list) {
      const strange = Object.keys(schema).find(
        (key) => !(key in keywordTypes) && !annotations.has(key) && !combining.has(key),
      );
      if (strange !== undefined) throw schemaError(pointer, strange, "this keyword is not supported");
    }
    const types = list
      .map(typesOf)
      .reduce((all, own) => all.filter((type) => own.includes(type)), [...jsonTypes]);
    const literals = literalsOf(list);
    if (literals)
      return literals.filter((value) => isOfType(value, types)).map((value) => this.#literal(value, list));
    if (types.length === jsonTypes.length - 1 && list.every(({ schema }) => isFree(schema)))
      return [[this.any]];
    return types.flatMap((type) => {
      // Every integer is a number.
      if (type === "integer" && types.includes("number")) return [];
      return [[this.#ofType(type, list)]];
    });
  }

  /** Any value. */
  get any(): GrammarSymbol {
    if (this.#any !== undefined) return this.#any;
    const { text, terminal, list } = {
      text: (of: string) => this.#grammar.text(of),
      terminal: (of: Expression) => this.#grammar.terminal(of),
      list: (of: GrammarSymbol) => this.#grammar.list(of, { between: this.#grammar.text(",") }),
    };
    const any = (this.#any = this.#grammar.nonterminal());
    const string = terminal(this.#scalars.anyString);
    const member = this.#grammar.choice([[string, text(":"), any]]);
    const words = this.#write.either(["null", "true", "false"].map((word) => this.#write.text(word)));
    for (const right of [
      [string],
      [terminal(this.#scalars.anyNumber)],
      [terminal(words)],
      [text("{"), list(member), text("}")],
      [text("["), list(any), text("]")],
    ])
      this.#grammar.rule(any, right);
    return any;
  }

  #literal(value: unknown, list: readonly SchemaAt[]): readonly GrammarSymbol[] {
    const told = list.find(({ schema }) => Object.keys(schema).some((key) => key in keywordTypes));
    if (told !== undefined && typeof value !== "boolean" && value !== null) {
      if (typeof value !== "string" && typeof value !== "number")
        throw schemaError(
          told.pointer,
          "enum",
          "objects and arrays beside keywords of their type are not supported",
        );
      const type = typeof value === "string" ? "string" : "number";
      const both = [this.#write.text(JSON.stringify(value)), this.#scalars.of(type, list)];
      return [this.#grammar.terminal(this.#write.both(both))];
    }
    return [this.#grammar.text(JSON.stringify(value))];
  }

  #ofType(type: JsonType, list: readonly SchemaAt[]): GrammarSymbol {
    switch (type) {
      case "null":
        return this.#grammar.text("null");
      case "boolean":
        return this.#grammar.choice([[this.#grammar.text("true")], [this.#grammar.text("false")]]);
      case "array":
        return this.#array(list);
      case "object":
        return this.#object(list);
      case "string":
      case "integer":
      case "number":
        return this.#grammar.terminal(this.#scalars.of(type, list));
    }
  }

  #array(list: readonly SchemaAt[]): GrammarSymbol {
    const { prefix, rest, min, max } = arrayShape(list, this.refs);
    const [open, close, comma] = ["[", "]", ","].map((text) => this.#grammar.text(text)) as [
      GrammarSymbol,
      GrammarSymbol,
      GrammarSymbol,
    ];
    if (min > max) return this.#nothing();
    const alternatives: GrammarSymbol[][] = [];
    // Those that end within the prefix.
    const items = prefix.map((one) => this.symbolOf(one));
    const first = (count: number): GrammarSymbol[] =>
      items.slice(0, count).flatMap((item, i) => (i === 0 ? [item] : [comma, item]));
    for (let count = min; count < Math.min(items.length, max + 1); count++)
      alternatives.push([open, ...first(count), close]);
    if (max >= items.length) {
      const bounds = { min: Math.max(0, min - items.length), max: max - items.length };
      const more =
        items.length === 0
          ? this.#grammar.list(this.symbolOf(rest), { ...bounds, between: comma })
          : this.#grammar.list(this.#grammar.choice([[comma, this.symbolOf(rest)]]), bounds);
      alternatives.push([open, ...first(items.length), more, close]);
    }
    return this.#grammar.choice(alternatives);
  }

  /**
   * Properties come in the order of the schema, and others behind them. `some` is what may follow when one is there, `none` when there is
   * none yet.
   */
  #object(list: readonly SchemaAt[]): GrammarSymbol {
    const shape = objectShape(list, this.refs);
    const { text, choice } = {
      text: (of: string) => this.#grammar.text(of),
      choice: this.#grammar.choice.bind(this.#grammar),
    };
    const members = this.#furtherMembers(shape);
    let none = members ? this.#grammar.list(members, { between: text(",") }) : choice([[]]);
    let some = members ? this.#grammar.list(choice([[text(","), members]])) : choice([[]]);
    for (const [name, value] of [...shape.properties].reverse()) {
      const isPossible = !value.some(
        ({ schema }) => Array.isArray(schema["enum"]) && schema["enum"].length === 0,
      );
      if (!isPossible && !shape.required.has(name)) continue;
      const key = this.#key(this.#scalars.spelled(name), shape);
      const member = [
        this.#grammar.terminal(key),
        text(":"),
        isPossible ? this.symbolOf(value) : this.#nothing(),
      ];
      const [isFirst, isLater] = [
        [...member, some],
        [text(","), ...member, some],
      ];
      [none, some] = shape.required.has(name)
        ? [choice([isFirst]), choice([isLater])]
        : [choice([isFirst, [none]]), choice([isLater, [some]])];
    }
    return choice([[text("{"), none, text("}")]]);
  }

  /** Members whose names are not in the schema; undefined: there may be none. */
  #furtherMembers(shape: ObjectShape): GrammarSymbol | undefined {
    const write = this.#write;
    const colon = this.#grammar.text(":");
    const named = write.either([...shape.properties.keys()].map((name) => this.#scalars.spelled(name)));
    const patterns = shape.patterns.map((one) => this.#scalars.pattern(one, "patternProperties", one.source));
    const alternatives = shape.patterns.map(({ value }, i) => {
      const others = patterns.filter((_, other) => other !== i);
      const name = write.both([patterns[i]!, ...[...others, named].map((one) => write.complement(one))]);
      return [this.#grammar.terminal(this.#key(name, shape)), colon, this.symbolOf(value)];
    });
    if (shape.additional !== undefined) {
      const name = write.both([
        this.#scalars.anyName,
        ...[...patterns, named].map((one) => write.complement(one)),
      ]);
      alternatives.push([
        this.#grammar.terminal(this.#key(name, shape)),
        colon,
        this.symbolOf(shape.additional),
      ]);
    }
    return alternatives.length === 0 ? undefined : this.#grammar.choice(alternatives);
  }

  /** A name in quotes. */
  #key(name: Expression, { names }: ObjectShape): Expression {
    const quote = this.#write.text('"');
    const quoted = this.#write.concat([quote, name, quote]);
    return names.length === 0 ? quoted : this.#write.both([quoted, this.#scalars.string(names)]);
  }

  /** What no text matches. */
  #nothing(): GrammarSymbol {
    return this.#grammar.terminal(this.#write.nothing);
  }
}
