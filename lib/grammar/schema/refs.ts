/** Schemas by where they stand: references followed, combinations taken apart. */
import { ArgumentRangeError } from "../../errors.js";

export type SchemaObject = Readonly<Record<string, unknown>>;
export type Schema = SchemaObject | boolean;

/** A schema, and its JSON pointer from the root. */
export interface SchemaAt {
  readonly schema: SchemaObject;
  readonly pointer: string;
}

/** @param problem of the keyword, such as "not supported" */
export function schemaError(pointer: string, keyword: string, problem: string): ArgumentRangeError {
  return new ArgumentRangeError(`schema: ${pointer}/${escapePointer(keyword)}: ${problem}`);
}

const escapePointer = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1");

/** Whether it is certain that no value is valid for both conjunctions, neither of which has references and combinations. */
export type Disjointness = (a: readonly SchemaAt[], b: readonly SchemaAt[], refs: SchemaRefs) => boolean;

export class SchemaRefs {
  readonly #root: Schema;
  /** How many conjunctions one schema may become: alternatives multiply. */
  readonly #maxAlternatives: number;
  readonly #areDisjoint: Disjointness;

  /** @param areDisjoint what `oneOf` has to be sure of */
  constructor(root: Schema, maxAlternatives: number, areDisjoint: Disjointness) {
    this.#root = root;
    this.#maxAlternatives = maxAlternatives;
    this.#areDisjoint = areDisjoint;
  }

  /** A schema within another. @throws ArgumentRangeError for what is none */
  child({ schema, pointer }: SchemaAt, ...path: (string | number)[]): SchemaAt {
    let [value, at]: [unknown, string] = [schema, pointer];
    for (const key of path) {
      value = (value as Record<string, unknown>)[key];
      at += `/${escapePointer(String(key))}`;
    }
    return this.at(value, at);
  }

  /** @throws ArgumentRangeError for what is no schema */
  at(value: unknown, pointer: string): SchemaAt {
    if (value === true) return { schema: {}, pointer };
    if (value === false) return { schema: { enum: [] }, pointer };
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new ArgumentRangeError(`schema: ${pointer || "/"}: expected an object or a boolean`);
    return { schema: value as SchemaObject, pointer };
  }

  /** What `$ref` names. @throws ArgumentRangeError */
  resolve({ schema: { $ref: ref }, pointer }: SchemaAt): SchemaAt {
    if (typeof ref !== "string" || !/^#(\/|$)/.test(ref))
      throw schemaError(pointer, "$ref", `expected a pointer within this schema, got ${JSON.stringify(ref)}`);
    let value: unknown = this.#root;
    for (const part of ref.split("/").slice(1)) {
      const key = decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
      const holder = value as Record<string, unknown> | null;
      if (typeof holder !== "object" || holder === null || !Object.hasOwn(holder, key))
        throw schemaError(pointer, "$ref", `nothing is at ${ref}`);
      value = holder[key];
    }
    return this.at(value, ref.slice(1));
  }

  /**
   * A conjunction without references and combinations: a value has to be valid for all schemas of one of the lists.
   *
   * @throws ArgumentRangeError
   */
  alternatives(conjunction: readonly SchemaAt[]): readonly (readonly SchemaAt[])[] {
    let done: readonly (readonly SchemaAt[])[] = [[]];
    for (const one of conjunction) {
      const own = this.#apart(one, new Set());
      done = done.flatMap((list) => own.map((more) => merged(list, more)));
      if (done.length > this.#maxAlternatives)
        throw schemaError(
          one.pointer,
          "anyOf",
          `more than ${this.#maxAlternatives} combinations of alternatives`,
        );
    }
    return done;
  }

  #apart(at: SchemaAt, followed: ReadonlySet<string>): readonly (readonly SchemaAt[])[] {
    const { $ref, allOf, anyOf, oneOf, ...rest } = at.schema;
    let lists: readonly (readonly SchemaAt[])[] = [[{ schema: rest, pointer: at.pointer }]];
    const and = (more: readonly (readonly SchemaAt[])[]): void => {
      lists = lists.flatMap((list) => more.map((other) => merged(list, other)));
      if (lists.length > this.#maxAlternatives)
        throw schemaError(
          at.pointer,
          "anyOf",
          `more than ${this.#maxAlternatives} combinations of alternatives`,
        );
    };
    if ($ref !== undefined) {
      const target = this.resolve(at);
      if (followed.has(target.pointer))
        throw schemaError(at.pointer, "$ref", "refers to itself and nothing else");
      and(this.#apart(target, new Set([...followed, target.pointer])));
    }
    for (const i of this.#listOf(at, "allOf", allOf).keys())
      and(this.#apart(this.child(at, "allOf", i), followed));
    for (const keyword of ["anyOf", "oneOf"] as const) {
      const list = this.#listOf(at, keyword, { anyOf, oneOf }[keyword]);
      const each = list.map((_, i) => this.#apart(this.child(at, keyword, i), followed));
      if (keyword === "oneOf") this.#requireDisjoint(at, each);
      if (each.length > 0) and(each.flat());
    }
    return lists;
  }

  /** @throws ArgumentRangeError */
  #requireDisjoint({ pointer }: SchemaAt, each: readonly (readonly (readonly SchemaAt[])[])[]): void {
    for (const [i, own] of each.entries())
      for (const other of each.slice(0, i))
        if (!own.every((one) => other.every((two) => this.#areDisjoint(one, two, this)))) {
          const problem = `a value may be valid for ${each.indexOf(other)} and ${i}: not supported; anyOf is`;
          throw schemaError(pointer, "oneOf", problem);
        }
  }

  #listOf({ pointer }: SchemaAt, keyword: string, value: unknown): readonly unknown[] {
    if (value === undefined) return [];
    if (Array.isArray(value) && value.length > 0) return value;
    throw schemaError(pointer, keyword, "expected a list of schemas, at least one");
  }
}

/** Each schema once. */
function merged(list: readonly SchemaAt[], more: readonly SchemaAt[]): readonly SchemaAt[] {
  const here = new Set(list.map(({ pointer }) => pointer));
  return [...list, ...more.filter(({ pointer }) => !here.has(pointer))];
}
