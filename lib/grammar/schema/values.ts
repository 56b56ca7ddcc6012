/** Which values schemas name, and of which types. */
import { type JsonType, jsonTypes } from "./keywords.js";
import { type Conjunction, type SchemaAt, schemaError } from "./schemaAt.js";

/** Types that all of them allow; an integer is a number. @throws ArgumentRangeError */
export function typesOf(list: Conjunction): readonly JsonType[] {
  return list.map(ownTypes).reduce((all, own) => all.filter((type) => own.includes(type)), jsonTypes);
}

function ownTypes({ schema, pointer }: SchemaAt): readonly JsonType[] {
  const { type = jsonTypes } = schema;
  const list = (Array.isArray(type) ? type : [type]) as readonly JsonType[];
  const strange = list.find((one) => !jsonTypes.includes(one));
  if (strange !== undefined || list.length === 0)
    throw schemaError(
      pointer,
      "type",
      `expected some of ${jsonTypes.join(", ")}, got ${JSON.stringify(type)}`,
    );
  return list.includes("number") ? [...list, "integer"] : list;
}

/** A text that equal values have in common: the order of properties is none of a value. */
export function identityOf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(identityOf).join()}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}:${identityOf(one)}`);
  return `{${members.sort().join()}}`;
}

/**
 * Values of `enum` and `const` that all have.
 *
 * @returns by their identity; undefined: there is none of these keywords
 * @throws ArgumentRangeError
 */
export function literalsOf(list: Conjunction): ReadonlyMap<string, unknown> | undefined {
  let all: ReadonlyMap<string, unknown> | undefined;
  for (const at of list) {
    for (const keyword of ["enum", "const"] as const) {
      if (!Object.hasOwn(at.schema, keyword)) continue;
      const own = new Map(valuesOf(at, keyword).map((value) => [identityOf(value), value]));
      all = all === undefined ? own : new Map([...all].filter(([text]) => own.has(text)));
    }
  }
  return all;
}

/** @throws ArgumentRangeError */
export function valuesOf({ schema, pointer }: SchemaAt, keyword: "enum" | "const"): readonly unknown[] {
  const values = keyword === "const" ? [schema["const"]] : schema["enum"];
  if (!Array.isArray(values)) throw schemaError(pointer, keyword, "expected a list of values");
  return values;
}

export function typeOf(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value as JsonType;
}

/** @throws ArgumentRangeError for what is no number */
export function numberOf({ schema, pointer }: SchemaAt, keyword: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined || (typeof value === "number" && Number.isFinite(value))) return value;
  throw schemaError(pointer, keyword, `expected a number, got ${JSON.stringify(value)}`);
}

/** Counts beyond any text are no bound. */
const mostCounted = 2 ** 30;

/** A number of characters, items or properties. @throws ArgumentRangeError */
export function countOf(at: SchemaAt, keyword: string): number | undefined {
  const value = numberOf(at, keyword);
  if (value === undefined) return undefined;
  if (!Number.isInteger(value) || value < 0)
    throw schemaError(at.pointer, keyword, `expected an integer of 0 or more, got ${value}`);
  if (value <= mostCounted) return value;
  if (keyword.startsWith("max")) return undefined;
  throw schemaError(at.pointer, keyword, `expected at most ${mostCounted}, got ${value}`);
}

/** The bounds that all of them leave. @throws ArgumentRangeError */
export function countsOf(list: Conjunction, what: string): { readonly min: number; readonly max: number } {
  return {
    min: Math.max(0, ...list.map((at) => countOf(at, `min${what}`) ?? 0)),
    max: Math.min(Infinity, ...list.map((at) => countOf(at, `max${what}`) ?? Infinity)),
  };
}

/** @throws ArgumentRangeError */
export function namesOf({ schema, pointer }: SchemaAt): readonly string[] {
  const { required = [] } = schema;
  if (!Array.isArray(required) || !required.every((one) => typeof one === "string"))
    throw schemaError(pointer, "required", "expected a list of names");
  return required;
}
