/**
 * The values of an object one by one, as families write the arguments of a call that do not write JSON: a tag for each, or a keyword of
 * Python. Properties come in the order of the schema; strings stand as they are, within what their reader takes for a string.
 */
import { ArgumentRangeError } from "../../errors.js";
import type { Expression } from "../syntax/expressions.js";
import { foundIn } from "../syntax/pattern.js";
import { type GrammarSymbol, GrammarWriter } from "../syntax/rules.js";
import { SchemaCompiler } from "../schema/compile.js";
import { objectShape } from "../schema/containers.js";
import { type JsonType, jsonTypes } from "../schema/keywords.js";
import { type Conjunction, made, type Schema, type SchemaAt, schemaError } from "../schema/schemaAt.js";
import { identityOf, literalsOf, typeOf, typesOf } from "../schema/values.js";
import type { Literals } from "./literals.js";
import type { Members } from "./part.js";
import { rawStrings } from "./rawStrings.js";

/** @throws ArgumentRangeError */
export function memberSymbol(members: Members, grammar: GrammarWriter, literals: Literals): GrammarSymbol {
  return new MemberWriter(members, grammar, literals).symbol();
}

class MemberWriter {
  readonly #members: Members;
  readonly #grammar: GrammarWriter;
  readonly #literals: Literals;
  readonly #schema: SchemaCompiler;
  /** Texts that end no value. */
  readonly #whole: Expression;

  constructor(members: Members, grammar: GrammarWriter, literals: Literals) {
    const { members: schema, never = [] } = members;
    this.#members = members;
    this.#grammar = grammar;
    this.#literals = literals;
    const write = grammar.expressions;
    this.#whole = never.length === 0 ? write.anything : write.complement(literals.containing(never));
    this.#schema = new SchemaCompiler(schema as Schema, new WithinWriter(grammar, this.#whole));
  }

  /** `some` is what may follow when a member is there, `none` when there is none yet. */
  symbol(): GrammarSymbol {
    const grammar = this.#grammar;
    const between = this.#terminal(this.#members.between ?? "");
    const { properties, required } = this.#shape();
    let [none, some] = [grammar.choice([[]]), grammar.choice([[]])];
    for (const [name, value] of [...properties].reverse()) {
      const member = this.#member(name, value);
      const [isFirst, isLater] = [
        [member, some],
        [between, member, some],
      ];
      [none, some] = required.has(name)
        ? [grammar.choice([isFirst]), grammar.choice([isLater])]
        : [grammar.choice([isFirst, [none]]), grammar.choice([isLater, [some]])];
    }
    return none;
  }

  #shape(): ReturnType<typeof objectShape> {
    const { alternatives, root } = this.#schema;
    const lists = alternatives.of([root]);
    const [list] = lists;
    if (lists.length !== 1 || list!.some((at) => !typesOf([at]).includes("object") || "enum" in at.schema))
      throw new ArgumentRangeError(
        "schema: expected one object: alternatives of objects are not supported where arguments are written one by one",
      );
    const shape = objectShape(list!);
    const { properties, required, names, min, max } = shape;
    if (names.length > 0 || min > required.size || max < properties.size)
      throw new ArgumentRangeError(
        "schema: propertyNames, minProperties and maxProperties are not supported where arguments are written one by one",
      );
    this.#schema.symbolOf([...list!, this.#typed(list!, ["object"])]); // says what is not supported
    const allowed = this.#members.names === undefined ? undefined : new RegExp(this.#members.names, "u");
    for (const name of shape.properties.keys())
      if (allowed?.test(name) === false)
        throw schemaError(`${list![0]!.pointer}/properties`, name, "this name cannot be written");
    return shape;
  }

  #member(name: string, value: Conjunction): GrammarSymbol {
    const [before, behind, end] = this.#members.around;
    const { flagged } = this.#members;
    const { strings, others } = this.#values(name, value);
    const begin = (mark: string | undefined): GrammarSymbol =>
      this.#terminal(before + name + (mark ?? behind));
    const forms = others.map((other) => [begin(flagged?.[1]), other, this.#terminal(end)]);
    // With what is behind it a text is one terminal: a mask needs no parser within the text then.
    if (strings !== undefined) {
      const whole = this.#grammar.expressions.concat([strings, this.#literals.of(end)]);
      forms.push([begin(flagged?.[0]), this.#grammar.terminal(whole)]);
    }
    return this.#grammar.choice(forms);
  }

  /** What a value may be: text, and what is no text. */
  #values(
    name: string,
    value: Conjunction,
  ): { readonly strings: Expression | undefined; readonly others: readonly GrammarSymbol[] } {
    const lists = this.#schema.alternatives.of(value);
    if (this.#members.values === "python")
      return { strings: undefined, others: lists.flatMap((list) => this.#python(list)) };
    const { untyped, flagged, types = {} } = this.#members;
    const read = types[name] ?? (untyped === "string" ? ["string"] : null);
    // Where a reader takes everything for JSON that is JSON, strings are JSON, too.
    if (read === null && !flagged) return { strings: undefined, others: [this.#schema.symbolOf(value)] };
    const write = this.#grammar.expressions;
    const strings = lists.flatMap((list) => rawStrings(list, write) ?? []);
    this.#schema.symbolOf(value); // says what is not supported
    const rest = jsonTypes.filter((type) => type !== "string" && (flagged || isRead(type, read!)));
    const isString = flagged || read!.includes("string");
    const mixed = flagged || !isString ? [] : rest;
    return {
      strings:
        strings.length === 0 || !isString
          ? undefined
          : write.both([
              write.either(strings),
              this.#whole,
              ...lookAlikes(mixed).map((one) => write.complement(foundIn({ source: one }, write))),
            ]),
      others: lists.flatMap((list) => this.#ofTypes(list, rest)),
    };
  }

  /** JSON of these types, as far as the schema has them. */
  #ofTypes(list: readonly SchemaAt[], types: readonly JsonType[]): GrammarSymbol[] {
    const literals = literalsOf(list);
    const own = types.filter((type) => typesOf(list).includes(type));
    const values = [...(literals?.values() ?? [])];
    const isPossible = literals ? values.some((value) => own.includes(typeOf(value))) : own.length > 0;
    return isPossible ? [this.#schema.symbolOf([...list, this.#typed(list, own)])] : [];
  }

  /** One more schema that has to hold: the types. */
  #typed(list: Conjunction, types: readonly JsonType[]): SchemaAt {
    return made(list[0] ?? this.#schema.root, `of ${types.join()}`, { type: types });
  }

  #python(list: readonly SchemaAt[]): GrammarSymbol[] {
    const words = new Map<unknown, string>([
      [true, "True"],
      [false, "False"],
      [null, "None"],
    ]);
    const literals = literalsOf(list);
    const isAllowed = (value: unknown): boolean =>
      (!literals || literals.has(identityOf(value))) && typesOf(list).includes(typeOf(value));
    const own = [...words].flatMap(([value, word]) => (isAllowed(value) ? [this.#grammar.text(word)] : []));
    return [
      ...own,
      ...this.#ofTypes(
        list,
        jsonTypes.filter((type) => type !== "null" && type !== "boolean"),
      ),
    ];
  }

  #terminal(text: string): GrammarSymbol {
    return this.#grammar.terminal(this.#literals.of(text));
  }
}

/** Writes into another grammar, where no terminal contains what ends a value. */
class WithinWriter extends GrammarWriter {
  override readonly expressions;
  readonly #to: GrammarWriter;
  readonly #whole: Expression;

  constructor(to: GrammarWriter, whole: Expression) {
    super();
    this.#to = to;
    this.#whole = whole;
    this.expressions = to.expressions;
  }

  override terminal(expression: Expression): GrammarSymbol {
    const isFree = this.#whole === this.expressions.anything;
    return this.#to.terminal(isFree ? expression : this.expressions.both([expression, this.#whole]));
  }

  override nonterminal(): GrammarSymbol {
    return this.#to.nonterminal();
  }

  override rule(left: GrammarSymbol, right: readonly GrammarSymbol[]): void {
    this.#to.rule(left, right);
  }
}

/** Names of types as the reader has them: an integer is a number. */
const isRead = (type: JsonType, read: readonly string[]): boolean =>
  read.includes(type === "integer" ? "number" : type);

/** What a reader would not take for a string where it may be one of these. */
function lookAlikes(types: readonly JsonType[]): string[] {
  const firsts = [
    types.includes("number") || types.includes("integer") ? "\\-+.0-9" : "",
    types.includes("array") || types.includes("object") ? "\\[{(" : "",
  ].join("");
  const words = [
    ...(types.includes("null") ? ["null", "None"] : []),
    ...(types.includes("boolean") ? ["true", "True", "false", "False"] : []),
  ];
  return [
    ...(firsts === "" ? [] : [`^\\s*[${firsts}]`]),
    ...(words.length === 0 ? [] : [`^\\s*(?:${words.join("|")})\\s*$`]),
  ];
}
