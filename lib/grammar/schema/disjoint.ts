/** Whether no value can be valid for both of two schemas: what `oneOf` needs to be the same as `anyOf`. */
import { type JsonType, jsonTypes } from "./keywords.js";
import type { SchemaAt, SchemaRefs } from "./refs.js";

/** Of properties within properties. */
const maxDepth = 4;

type Conjunction = readonly SchemaAt[];

/** True only where it is certain. */
export function areDisjoint(a: Conjunction, b: Conjunction, refs: SchemaRefs, depth = 0): boolean {
  const types = typesOf(a).filter((type) => typesOf(b).includes(type));
  if (types.length === 0) return true;
  const [own, others] = [literalsOf(a), literalsOf(b)];
  if (own && others) return own.every((one) => !others.includes(one));
  if (types.some((type) => type !== "object") || depth >= maxDepth) return false;
  return requiredOf(a).some((name) => {
    if (!requiredOf(b).includes(name)) return false;
    const [first, second] = [propertyOf(a, name, refs), propertyOf(b, name, refs)];
    const [left, right] = [first, second].map((one) => refs.alternatives(one));
    return left!.every((one) => right!.every((other) => areDisjoint(one, other, refs, depth + 1)));
  });
}

function typesOf(list: Conjunction): readonly JsonType[] {
  const own = list.map(
    ({ schema: { type = jsonTypes } }) => (Array.isArray(type) ? type : [type]) as JsonType[],
  );
  const whole = own.map((types) => (types.includes("number") ? [...types, "integer" as const] : types));
  const literals = literalsOf(list);
  const stated = whole.reduce<readonly JsonType[]>(
    (all, types) => all.filter((one) => types.includes(one)),
    jsonTypes,
  );
  if (!literals) return stated;
  const ofLiterals = literals.map((text) => typeOfLiteral(JSON.parse(text)));
  return stated.filter((type) => ofLiterals.includes(type));
}

function typeOfLiteral(value: unknown): JsonType {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value as JsonType;
}

/** As JSON; undefined: not only some values are valid. */
function literalsOf(list: Conjunction): readonly string[] | undefined {
  const own = list.flatMap(({ schema }) => [
    ...("const" in schema ? [[schema["const"]]] : []),
    ...(Array.isArray(schema["enum"]) ? [schema["enum"] as unknown[]] : []),
  ]);
  if (own.length === 0) return undefined;
  return own
    .map((values) => values.map((value) => JSON.stringify(value)))
    .reduce((all, values) => all.filter((one) => values.includes(one)));
}

function requiredOf(list: Conjunction): readonly string[] {
  return list.flatMap(({ schema: { required } }) => (Array.isArray(required) ? (required as string[]) : []));
}

function propertyOf(list: Conjunction, name: string, refs: SchemaRefs): Conjunction {
  return list.flatMap((at) => {
    const { properties } = at.schema;
    const has = typeof properties === "object" && properties !== null && Object.hasOwn(properties, name);
    return has ? [refs.child(at, "properties", name)] : [];
  });
}
