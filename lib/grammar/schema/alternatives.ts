/** Schemas without references and combinations: each as lists of which a value has to be valid for all of one. */
import { ArgumentRangeError } from "../../errors.js";
import { areDisjoint, isImpossible } from "./disjoint.js";
import { formats, numberFormats } from "./formats.js";
import { combining, isAnnotation, leaves } from "./keywords.js";
import { madeKeywords, negatedLeaf, saysNothing } from "./negation.js";
import { isRecord, Resources } from "./resources.js";
import {
  child,
  type Conjunction,
  made,
  resolve,
  type SchemaAt,
  schemaError,
  type SchemaObject,
} from "./schemaAt.js";

/** One of these, each of which holds as a whole. */
type Lists = readonly Conjunction[];

/** How many lists one schema may become: alternatives multiply. */
const maxLists = 1000;

export class Alternatives {
  readonly #resources: Resources;
  /** By key; "open": being taken apart. */
  readonly #known = new Map<string, Lists | "open">();

  constructor(root: unknown) {
    this.#resources = new Resources(root);
  }

  /** @throws ArgumentRangeError */
  of(conjunction: Conjunction): Lists {
    return this.#all(
      conjunction.map((at) => () => this.#apart(at)),
      conjunction[0],
    );
  }

  #apart(at: SchemaAt): Lists {
    return this.#once(at, "", () => {
      requireKnown(at);
      const { rest, parts } = separate(at);
      const whole = Object.keys(rest.schema).length === 0 ? [[]] : [[rest]];
      const combined = parts.map((keyword) => () => this.#combined(at, keyword));
      return this.#all([() => whole, ...combined], at);
    });
  }

  /** The opposite. */
  #negated(at: SchemaAt): Lists {
    return this.#once(at, "~!not", () => {
      requireKnown(at);
      const { rest, parts } = separate(at);
      const leafKeywords = Object.keys(rest.schema);
      const own = leafKeywords.flatMap((keyword) => negatedLeaf(rest, keyword)).map((one) => this.of([one]));
      return limited([...own, ...parts.map((keyword) => this.#negatedCombined(at, keyword))].flat(), at);
    });
  }

  #combined(at: SchemaAt, keyword: string): Lists {
    const { not: no, and, or } = this.#logic(at);
    switch (keyword) {
      case "$ref":
        return this.#apart(resolve(at, this.#resources));
      case "allOf":
        return and(eachOf(at, keyword).map((one) => () => this.#apart(one)));
      case "anyOf":
        return or(eachOf(at, keyword).map((one) => () => this.#apart(one)));
      case "oneOf":
        return this.#oneOf(at);
      case "not":
        return no(child(at, "not"));
      case "if": {
        const condition = child(at, "if");
        const [then, otherwise] = branches(at).map((one) => one && [() => this.#apart(one)]);
        if (!then && !otherwise) return [[]];
        return or([
          () => and([() => this.#apart(condition), ...(then ?? [])]),
          () => and([() => no(condition), ...(otherwise ?? [])]),
        ]);
      }
      case "dependentRequired":
      case "dependentSchemas":
      case "dependencies":
        return and(
          dependencies(at, keyword).map(({ absent, present, needed }) => () => {
            return or([() => this.of([absent]), () => this.of([present, needed])]);
          }),
        );
      default:
        return [[]]; // then and else belong to if
    }
  }

  #negatedCombined(at: SchemaAt, keyword: string): Lists {
    const { not: no, and, or } = this.#logic(at);
    switch (keyword) {
      case "$ref":
        return no(resolve(at, this.#resources));
      case "allOf":
        return or(eachOf(at, keyword).map((one) => () => no(one)));
      case "anyOf":
        return and(eachOf(at, keyword).map((one) => () => no(one)));
      case "oneOf": {
        const each = eachOf(at, keyword);
        const two = each.flatMap((one, i) => each.slice(i + 1).map((other) => () => this.of([one, other])));
        return or([() => and(each.map((one) => () => no(one))), ...two]);
      }
      case "not":
        return this.#apart(child(at, "not"));
      case "if": {
        const condition = child(at, "if");
        const [then, otherwise] = branches(at);
        return or([
          ...(then ? [() => and([() => this.#apart(condition), () => no(then)])] : []),
          ...(otherwise ? [() => and([() => no(condition), () => no(otherwise)])] : []),
        ]);
      }
      case "dependentRequired":
      case "dependentSchemas":
      case "dependencies":
        return or(
          dependencies(at, keyword).map(({ present, needed }) => () => {
            return and([() => this.of([present]), () => no(needed)]);
          }),
        );
      default:
        return [];
    }
  }

  /** A value that is valid for exactly one: where two have one in common, it is none of the others as well. */
  #oneOf(at: SchemaAt): Lists {
    const each = eachOf(at, "oneOf");
    const lists = each.map((one) => this.#apart(one));
    const alternatives = (list: Conjunction): Lists => this.of(list);
    const meets = (i: number, j: number): boolean => {
      try {
        return !lists[i]!.every((one) => lists[j]!.every((other) => areDisjoint(one, other, alternatives)));
      } catch (error) {
        // What is wrong with a property is told when it is read; here it may be a schema that is being taken apart.
        if (error instanceof ArgumentRangeError) return true;
        throw error;
      }
    };
    const { and, or } = this.#logic(at);
    return or(
      each.map((_, i) => () => {
        const others = each.filter((_one, j) => j !== i && meets(i, j));
        return and([() => lists[i]!, ...others.map((other) => () => this.#negated(other))]);
      }),
    );
  }

  #logic(at: SchemaAt) {
    return {
      not: (one: SchemaAt): Lists => this.#negated(one),
      and: (parts: readonly (() => Lists)[]): Lists => this.#all(parts, at),
      or: (parts: readonly (() => Lists)[]): Lists =>
        limited(
          parts.flatMap((part) => part()),
          at,
        ),
    };
  }

  /** Those that hold together, each as one of its lists. */
  #all(parts: readonly (() => Lists)[], at: SchemaAt | undefined): Lists {
    let done: Lists = [[]];
    for (const part of parts) {
      const own = part();
      const met = new Map<string, Conjunction>();
      for (const list of done)
        for (const more of own) {
          const both = merged(list, more);
          if (list.length > 0 && more.length > 0 && isImpossible(both)) continue;
          met.set(JSON.stringify(both.map(({ key }) => key)), both);
          if (met.size > maxLists) throw tooMany(at!);
        }
      done = [...met.values()];
    }
    return done;
  }

  /** @throws ArgumentRangeError for what needs itself */
  #once(at: SchemaAt, side: string, compute: () => Lists): Lists {
    const key = at.key + side;
    const known = this.#known.get(key);
    if (known === "open")
      throw schemaError(at.pointer, "$ref", "a schema that refers to itself and nothing else");
    if (known) return known;
    this.#known.set(key, "open");
    try {
      const lists = compute();
      this.#known.set(key, lists);
      return lists;
    } finally {
      if (this.#known.get(key) === "open") this.#known.delete(key);
    }
  }
}

/** Leaves, and the keywords that combine others. */
function separate(at: SchemaAt): { readonly rest: SchemaAt; readonly parts: readonly string[] } {
  const own = Object.entries(at.schema).filter(([key]) => leaves.has(key) || madeKeywords.has(key));
  const parts = [...combining].filter((key) => Object.hasOwn(at.schema, key));
  const schema = evaluated({ ...at, schema: Object.fromEntries(own) }, parts);
  return { rest: { ...at, schema }, parts };
}

/** Where nothing beside them evaluates properties or items, the unevaluated ones are the additional ones. */
function evaluated({ schema, pointer }: SchemaAt, parts: readonly string[]): SchemaObject {
  const { unevaluatedProperties: properties, unevaluatedItems: items, ...rest } = schema;
  const require = (keyword: string, isAlone: boolean): void => {
    if (!isAlone || parts.some((part) => !["not", "dependentRequired"].includes(part)))
      throw schemaError(pointer, keyword, "not supported beside keywords that combine schemas");
  };
  const made: Record<string, unknown> = {};
  if (properties !== undefined && !saysNothing(properties)) {
    require("unevaluatedProperties", true);
    made["additionalProperties"] = properties;
  }
  if (items !== undefined && !saysNothing(items)) {
    require("unevaluatedItems", !Object.hasOwn(schema, "contains"));
    made[Array.isArray(schema["items"]) ? "additionalItems" : "items"] = items;
  }
  return { ...made, ...rest };
}

function requireKnown({ schema, pointer, isMade }: SchemaAt): void {
  const isKnown = (key: string): boolean => leaves.has(key) || combining.has(key) || isAnnotation(key);
  for (const keyword of Object.keys(schema))
    if (!isKnown(keyword) && !(isMade && madeKeywords.has(keyword)))
      throw schemaError(pointer, keyword, "this keyword is not supported");
  const { format } = schema;
  if (pointer !== "" && Object.hasOwn(schema, "$ref") && typeof schema["$id"] === "string")
    throw schemaError(pointer, "$id", "beside $ref: what it means differs between drafts, not supported");
  if (format === undefined) return;
  if (typeof format !== "string" || !(Object.hasOwn(formats, format) || numberFormats.has(format)))
    throw schemaError(pointer, "format", `${JSON.stringify(format)} is not supported`);
}

/** Each schema once. */
function merged(list: Conjunction, more: Conjunction): Conjunction {
  const here = new Set(list.map(({ key }) => key));
  return [...list, ...more.filter(({ key }) => !here.has(key))];
}

function limited(lists: Lists, at: SchemaAt): Lists {
  if (lists.length > maxLists) throw tooMany(at);
  return lists;
}

const tooMany = (at: SchemaAt): Error =>
  schemaError(at.pointer, "anyOf", `more than ${maxLists} combinations of alternatives`);

function eachOf(at: SchemaAt, keyword: string): readonly SchemaAt[] {
  const value = at.schema[keyword];
  if (Array.isArray(value) && value.length > 0) return value.map((_, i) => child(at, keyword, i));
  throw schemaError(at.pointer, keyword, "expected a list of schemas, at least one");
}

const branches = (at: SchemaAt): readonly (SchemaAt | undefined)[] =>
  ["then", "else"].map((keyword) => (Object.hasOwn(at.schema, keyword) ? child(at, keyword) : undefined));

interface Dependency {
  /** The property is not there. */
  readonly absent: SchemaAt;
  readonly present: SchemaAt;
  /** What has to hold where it is. */
  readonly needed: SchemaAt;
}

function dependencies(at: SchemaAt, keyword: string): readonly Dependency[] {
  const all = at.schema[keyword];
  if (!isRecord(all)) throw schemaError(at.pointer, keyword, "expected an object");
  return Object.keys(all).map((name) => {
    const needs = all[name];
    const isNames = Array.isArray(needs) && needs.every((one) => typeof one === "string");
    if (!isNames && (keyword === "dependentRequired" || Array.isArray(needs)))
      throw schemaError(at.pointer, keyword, "expected lists of names");
    const label = `${keyword} ${name}`;
    return {
      absent: made(at, `without ${label}`, { properties: { [name]: false } }),
      present: made(at, `with ${label}`, { type: "object", required: [name] }),
      needed: isNames ? made(at, label, { required: needs }) : child(at, keyword, name),
    };
  });
}
