/** What schemas say of objects and arrays, gathered over all that hold for a value. */
import { type SchemaAt, schemaError, type SchemaRefs } from "./refs.js";

/** A property, or an item: the schemas that hold for it. */
export type Conjunction = readonly SchemaAt[];

export interface ObjectShape {
  /** By name, in the order of the schemas; each with what holds for it. */
  readonly properties: ReadonlyMap<string, Conjunction>;
  readonly required: ReadonlySet<string>;
  /** Patterns of further names, and what holds for them. */
  readonly patterns: readonly {
    readonly source: string;
    readonly pointer: string;
    readonly value: Conjunction;
  }[];
  /** Of names that are neither; undefined: there are none. */
  readonly additional: Conjunction | undefined;
  /** Of all names. */
  readonly names: Conjunction;
}

export interface ArrayShape {
  readonly prefix: readonly Conjunction[];
  /** Of items behind these. */
  readonly rest: Conjunction;
  readonly min: number;
  readonly max: number;
}

const isEmpty = ({ schema }: SchemaAt): boolean =>
  Array.isArray(schema["enum"]) && schema["enum"].length === 0;

/** @throws ArgumentRangeError */
export function objectShape(list: readonly SchemaAt[], refs: SchemaRefs): ObjectShape {
  const own = list.map((at) => readObject(at, refs));
  const names = new Set([
    ...own.flatMap(({ properties }) => [...properties.keys()]),
    ...own.flatMap(({ required }) => required),
  ]);
  const patterned = own.filter(({ patterns }) => patterns.length > 0);
  const properties = new Map(
    [...names].map((name) => [name, own.flatMap((one) => valuesOf(one, name))] as const),
  );
  if (patterned.length > 1)
    throw schemaError(
      patterned[1]!.pointer,
      "patternProperties",
      "of several schemas that hold together: not supported",
    );
  const patterns = (patterned[0]?.patterns ?? []).map(({ source, pointer, value }) => {
    const others = own.filter((one) => one !== patterned[0]).flatMap(({ additional }) => additional ?? []);
    return { source, pointer, value: [value, ...others] };
  });
  const additional = own.flatMap((one) => one.additional ?? []);
  return {
    ...{ properties, patterns, required: new Set(own.flatMap(({ required }) => required)) },
    additional: additional.some(isEmpty) ? undefined : additional,
    names: own.flatMap((one) => one.names ?? []),
  };
}

interface OwnObject {
  readonly pointer: string;
  readonly properties: ReadonlyMap<string, SchemaAt>;
  readonly required: readonly string[];
  readonly patterns: readonly {
    readonly source: string;
    readonly pointer: string;
    readonly value: SchemaAt;
  }[];
  readonly additional: SchemaAt | undefined;
  readonly names: SchemaAt | undefined;
}

function readObject(at: SchemaAt, refs: SchemaRefs): OwnObject {
  const { pointer, schema } = at;
  const { properties = {}, patternProperties = {}, required = [] } = schema;
  if (!isRecord(properties)) throw schemaError(pointer, "properties", "expected an object of schemas");
  if (!isRecord(patternProperties))
    throw schemaError(pointer, "patternProperties", "expected an object of schemas");
  if (!Array.isArray(required) || !required.every((one) => typeof one === "string"))
    throw schemaError(pointer, "required", "expected a list of names");
  return {
    pointer,
    properties: new Map(Object.keys(properties).map((name) => [name, refs.child(at, "properties", name)])),
    required: required,
    patterns: Object.keys(patternProperties).map((source) => {
      return { source, pointer, value: refs.child(at, "patternProperties", source) };
    }),
    additional: "additionalProperties" in schema ? refs.child(at, "additionalProperties") : undefined,
    names: "propertyNames" in schema ? refs.child(at, "propertyNames") : undefined,
  };
}

/** What one schema says of a property. */
function valuesOf({ properties, patterns, additional }: OwnObject, name: string): readonly SchemaAt[] {
  const matching = patterns
    .filter(({ source }) => new RegExp(source, "u").test(name))
    .map(({ value }) => value);
  const named = properties.get(name);
  if (named) return [named, ...matching];
  return matching.length > 0 || !additional ? matching : [additional];
}

/** @throws ArgumentRangeError */
export function arrayShape(list: readonly SchemaAt[], refs: SchemaRefs): ArrayShape {
  const own = list.map((at) => readArray(at, refs));
  const length = Math.max(0, ...own.map(({ prefix }) => prefix.length));
  const rest = own.flatMap(({ rest: one }) => one ?? []);
  const prefix = Array.from({ length }, (_, i) => own.flatMap((one) => one.prefix[i] ?? one.rest ?? []));
  const impossible = prefix.findIndex((one) => one.some(isEmpty));
  const longest = impossible >= 0 ? impossible : rest.some(isEmpty) ? length : Infinity;
  const counts = list.map(({ schema, pointer }) => {
    const count = (keyword: string, otherwise: number): number => {
      const value = schema[keyword] ?? otherwise;
      if (typeof value === "number" && value >= 0 && (Number.isInteger(value) || value === otherwise))
        return value;
      throw schemaError(pointer, keyword, `expected a number of 0 or more, got ${JSON.stringify(value)}`);
    };
    return { min: count("minItems", 0), max: count("maxItems", Infinity) };
  });
  return {
    ...{ prefix, rest },
    min: Math.max(0, ...counts.map(({ min }) => min)),
    max: Math.min(longest, ...counts.map(({ max }) => max)),
  };
}

function readArray(
  at: SchemaAt,
  refs: SchemaRefs,
): { readonly prefix: readonly SchemaAt[]; readonly rest: SchemaAt | undefined } {
  const { pointer, schema } = at;
  // Draft 7 has the prefix in "items", and the others in "additionalItems".
  const isOld = Array.isArray(schema["items"]);
  const [first, rest] = isOld ? ["items", "additionalItems"] : ["prefixItems", "items"];
  const prefix = schema[first] ?? [];
  if (!Array.isArray(prefix)) throw schemaError(pointer, first, "expected a list of schemas");
  return {
    prefix: prefix.map((_, i) => refs.child(at, first, i)),
    rest: rest in schema ? refs.child(at, rest) : undefined,
  };
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
