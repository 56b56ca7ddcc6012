/** Objects as rules: properties in the order of the schema, and further ones behind them. */
import type { Expression } from "../syntax/expressions.js";
import type { GrammarSymbol } from "../syntax/rules.js";
import { type ObjectShape, objectShape } from "./containers.js";
import type { Conjunction } from "./schemaAt.js";
import { schemaError } from "./schemaAt.js";
import type { ValueWriter } from "./valueWriter.js";

/** Of properties, times how many of them are counted. */
const maxCounted = 20_000;

/** @throws ArgumentRangeError */
export function objectRule(list: Conjunction, to: ValueWriter): readonly GrammarSymbol[] {
  return new ObjectWriter(list, to).written();
}

class ObjectWriter {
  readonly #to: ValueWriter;
  readonly #shape: ObjectShape;
  /** A further member. */
  readonly #member: GrammarSymbol | undefined;
  readonly #min: number;
  /** Above this it makes no difference how many there are, or there are no more. */
  readonly #most: number;
  readonly #names: Expression | undefined;

  constructor(list: Conjunction, to: ValueWriter) {
    this.#to = to;
    this.#shape = objectShape(list);
    const { names, min, max, required, properties } = this.#shape;
    this.#names = names.length === 0 ? undefined : to.namesOf(names);
    this.#member = this.#furtherMember();
    this.#min = min <= required.size ? 0 : min;
    this.#most = Math.max(1, max === Infinity ? this.#min : max);
    if (properties.size >= maxCounted)
      throw errorAt(list, "properties", `expected fewer than ${maxCounted}, got ${properties.size}`);
    if (this.#most * (properties.size + 1) > maxCounted)
      throw max === Infinity
        ? errorAt(list, "minProperties", "it is too large", min)
        : errorAt(list, "maxProperties", "it is too large", max);
    if (this.#member !== undefined && this.#min > properties.size + 1) {
      const problem = `two properties of names that are not in the schema may be one: not supported from ${properties.size + 2} on`;
      throw errorAt(list, "minProperties", problem, min);
    }
  }

  written(): readonly GrammarSymbol[] {
    const { grammar, punctuation } = this.#to;
    const { properties, required, max } = this.#shape;
    // By how many there are before: what may follow.
    let tails = Array.from({ length: this.#most + 1 }, (_, count) => this.#end(count));
    for (const [name, value] of [...properties].reverse()) {
      const member = this.#named(name, value);
      tails = tails.map((without, count) => {
        const alternatives: (readonly GrammarSymbol[])[] = required.has(name) ? [] : [[without]];
        if (count < max) {
          const comma = count === 0 ? [] : [punctuation.comma];
          alternatives.push([...comma, ...member, tails[Math.min(count + 1, this.#most)]!]);
        }
        return grammar.choice(alternatives);
      });
    }
    return punctuation.enclosed("{}", [tails[0]!]);
  }

  /** What may follow behind all properties of the schema. */
  #end(count: number): GrammarSymbol {
    const { grammar, punctuation, sequences } = this.#to;
    const most = this.#shape.max - count;
    // Further names may be equal: together they are at least one property.
    const least =
      count >= this.#min ? 0 : this.#member !== undefined && count === this.#min - 1 ? 1 : Infinity;
    if (least === Infinity || least > most) return grammar.choice([]);
    if (this.#member === undefined) return grammar.choice([[]]);
    if (count === 0) return sequences.separated(this.#member, punctuation.comma, least, most);
    const next = grammar.choice([[punctuation.comma, this.#member]]);
    return grammar.choice([sequences.of(next, least, most)]);
  }

  #named(name: string, value: Conjunction): readonly GrammarSymbol[] {
    const { grammar, punctuation, scalars } = this.#to;
    const key = grammar.terminal(this.#key(scalars.spelled(name)));
    return [key, punctuation.colon, this.#to.symbolOf(value)];
  }

  /** One whose name is not in the schema; undefined: there may be none. */
  #furtherMember(): GrammarSymbol | undefined {
    const { grammar, punctuation, scalars } = this.#to;
    const write = grammar.expressions;
    const { properties, further } = this.#shape;
    const isNamed = write.either([...properties.keys()].map((name) => scalars.spelled(name)));
    const members = further.map(({ found, others, value }) => {
      const written = [found, others].map((list) =>
        list.map(({ pointer, source }) => scalars.texts.pattern(pointer, source)),
      );
      const not = [...written[1]!, isNamed].map((one) => write.complement(one));
      const name = write.both([scalars.texts.any, ...written[0]!, ...not]);
      return [grammar.terminal(this.#key(name)), punctuation.colon, this.#to.symbolOf(value)];
    });
    return members.length === 0 ? undefined : grammar.choice(members);
  }

  /** A name in quotes. */
  #key(name: Expression): Expression {
    const inner = this.#names === undefined ? name : this.#to.grammar.expressions.both([name, this.#names]);
    return this.#to.scalars.quoted(inner);
  }
}

/** @param value of the keyword, where several have it */
function errorAt(list: Conjunction, keyword: string, problem: string, value?: number): Error {
  const where = list.find(
    ({ schema }) => keyword in schema && (value ?? schema[keyword]) === schema[keyword],
  );
  return schemaError((where ?? list[0]!).pointer, keyword, problem);
}
