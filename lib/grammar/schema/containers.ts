/** What schemas say of objects and arrays, gathered over all that hold for a value. */
import { patternSource } from "../syntax/pattern.js";
import { NamePattern } from "./namePattern.js";
import { isRecord } from "./resources.js";
import { child, type Conjunction, isEmpty, type SchemaAt, schemaError, shown } from "./schemaAt.js";
import { countOf, countsOf, namesOf } from "./values.js";

/** Further names, all alike: those that are found by some patterns and not by others. */
export interface NameClass {
  readonly found: readonly PatternAt[];
  readonly others: readonly PatternAt[];
  readonly value: Conjunction;
}

export interface PatternAt {
  readonly source: string;
  readonly pointer: string;
}

export interface ObjectShape {
  /** By name, in the order of the schemas; each with what holds for it. */
  readonly properties: ReadonlyMap<string, Conjunction>;
  readonly required: ReadonlySet<string>;
  /** Of names that are no property; a name is in one of them. */
  readonly further: readonly NameClass[];
  /** Of all names. */
  readonly names: Conjunction;
  readonly min: number;
  readonly max: number;
}

export interface ArrayShape {
  readonly prefix: readonly Conjunction[];
  /** Of items behind these. */
  readonly rest: Conjunction;
  readonly min: number;
  readonly max: number;
  readonly contains: Contained | undefined;
}

/** Items of a kind, and how many of them there are. */
export interface Contained {
  readonly value: SchemaAt;
  readonly min: number;
  readonly max: number;
}

/** Names may be found by some and not by others: twice as many classes of them with each. */
const maxPatterns = 6;

/** @throws ArgumentRangeError */
export function objectShape(list: Conjunction): ObjectShape {
  const own = list.map(readObject);
  const names = new Set([
    ...own.flatMap(({ properties }) => [...properties.keys()]),
    ...own.flatMap(({ required }) => required),
  ]);
  return {
    properties: new Map([...names].map((name) => [name, own.flatMap((one) => one.valuesOf(name))] as const)),
    required: new Set(own.flatMap(({ required }) => required)),
    further: nameClasses(own),
    names: own.flatMap((one) => one.names ?? []),
    ...countsOf(list, "Properties"),
  };
}

interface Pattern extends PatternAt {
  readonly value: SchemaAt;
  readonly isFoundIn: (name: string) => boolean;
}

interface OwnObject {
  readonly properties: ReadonlyMap<string, SchemaAt>;
  readonly required: readonly string[];
  readonly patterns: readonly Pattern[];
  readonly additional: SchemaAt | undefined;
  readonly names: SchemaAt | undefined;
  /** What it says of a property: additionalProperties is about those that are neither its own nor found by its own patterns. */
  valuesOf(name: string): Conjunction;
}

function readObject(at: SchemaAt): OwnObject {
  const { pointer, schema } = at;
  const { properties = {}, patternProperties = {} } = schema;
  if (!isRecord(properties)) throw schemaError(pointer, "properties", "expected an object of schemas");
  if (!isRecord(patternProperties))
    throw schemaError(pointer, "patternProperties", "expected an object of schemas");
  const named = new Map(Object.keys(properties).map((name) => [name, child(at, "properties", name)]));
  const patterns = Object.keys(patternProperties).map((source) => readPattern(at, source));
  const additional = Object.hasOwn(schema, "additionalProperties")
    ? child(at, "additionalProperties")
    : undefined;
  return {
    ...{ properties: named, patterns, additional, required: namesOf(at) },
    names: Object.hasOwn(schema, "propertyNames") ? child(at, "propertyNames") : undefined,
    valuesOf(name) {
      const found = patterns.filter(({ isFoundIn }) => isFoundIn(name)).map(({ value }) => value);
      const own = named.get(name);
      if (own) return [own, ...found];
      return found.length > 0 || !additional ? found : [additional];
    },
  };
}

function readPattern(at: SchemaAt, source: string): Pattern {
  const pointer = `${at.pointer}/patternProperties`;
  let matcher: NamePattern | undefined;
  return {
    ...{ source, pointer, value: child(at, "patternProperties", source) },
    isFoundIn: (name) =>
      (matcher ??= new NamePattern(patternSource(source), `schema: ${shown(pointer)}`)).isFoundIn(name),
  };
}

/** Each set of patterns that a name may be found by. */
function nameClasses(own: readonly OwnObject[]): readonly NameClass[] {
  const all = own.flatMap(({ patterns }) => patterns);
  if (all.length > maxPatterns)
    throw schemaError(
      all[0]!.pointer.replace(/\/patternProperties$/, ""),
      "patternProperties",
      `more than ${maxPatterns} patterns for one object are not supported`,
    );
  return Array.from({ length: 2 ** all.length }, (_, bits) => {
    const found = all.filter((_pattern, i) => bits & (1 << i));
    const others = all.filter((one) => !found.includes(one));
    const additional = own
      .filter(({ patterns }) => !patterns.some((one) => found.includes(one)))
      .flatMap((one) => one.additional ?? []);
    return { found, others, value: [...found.map(({ value }) => value), ...additional] };
  }).filter(({ value }) => !value.some(isEmpty));
}

/** @throws ArgumentRangeError */
export function arrayShape(list: Conjunction): ArrayShape {
  const own = list.map(readArray);
  const length = Math.max(0, ...own.map(({ prefix }) => prefix.length));
  const rest = own.flatMap(({ rest: one }) => one ?? []);
  const prefix = Array.from({ length }, (_, i) => own.flatMap((one) => one.prefix[i] ?? one.rest ?? []));
  const impossible = prefix.findIndex((one) => one.some(isEmpty));
  const longest = impossible >= 0 ? impossible : rest.some(isEmpty) ? length : Infinity;
  const { min, max: most } = countsOf(list, "Items");
  const max = Math.min(longest, most);
  const unique = list.find(({ schema }) => (schema["uniqueItems"] ?? false) !== false);
  if (unique && max > 1)
    throw schemaError(unique.pointer, "uniqueItems", "not supported where there may be more than one item");
  const [contains, second] = list.flatMap(containedOf);
  if (second) {
    const { pointer } = second.value;
    throw schemaError(
      pointer.slice(0, pointer.lastIndexOf("/")),
      "contains",
      "a second one for an array is not supported",
    );
  }
  return { prefix, rest, min, max, contains };
}

function readArray(at: SchemaAt): {
  readonly prefix: readonly SchemaAt[];
  readonly rest: SchemaAt | undefined;
} {
  const { pointer, schema } = at;
  // Draft 7 has the prefix in "items", and the others in "additionalItems".
  const isOld = Array.isArray(schema["items"]);
  if (isOld && Object.hasOwn(schema, "prefixItems"))
    throw schemaError(pointer, "prefixItems", "not supported beside a list of items, which is the same");
  const [first, rest] = isOld ? ["items", "additionalItems"] : ["prefixItems", "items"];
  const prefix = schema[first] ?? [];
  if (!Array.isArray(prefix)) throw schemaError(pointer, first, "expected a list of schemas");
  return {
    prefix: prefix.map((_, i) => child(at, first, i)),
    rest: Object.hasOwn(schema, rest) ? child(at, rest) : undefined,
  };
}

function containedOf(at: SchemaAt): readonly Contained[] {
  if (!Object.hasOwn(at.schema, "contains")) return [];
  const [min, max] = [countOf(at, "minContains") ?? 1, countOf(at, "maxContains") ?? Infinity];
  return min === 0 && max === Infinity ? [] : [{ value: child(at, "contains"), min, max }];
}
