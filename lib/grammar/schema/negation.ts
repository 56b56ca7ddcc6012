/** The opposite of a single keyword: what `not`, `if` and overlapping `oneOf` are made of. */
import { type JsonType, jsonTypes } from "./keywords.js";
import { isRecord } from "./resources.js";
import { made, oppositeOf, type Schema, type SchemaAt, type SchemaObject, schemaError } from "./schemaAt.js";
import { countOf, namesOf, numberOf, typeOf, typesOf, valuesOf } from "./values.js";

/**
 * Keywords that only schemas made here have: numbers and strings that a value is none of, a string that is not valid for a schema, and a
 * number that is no integer.
 */
export const otherThan = "~otherThan";
export const notString = "~notString";
export const noInteger = "~noInteger";
export const madeKeywords: ReadonlySet<string> = new Set([otherThan, notString, noInteger]);

const opposites: Readonly<Record<string, string>> = {
  ...{ minimum: "exclusiveMaximum", maximum: "exclusiveMinimum" },
  ...{ exclusiveMinimum: "maximum", exclusiveMaximum: "minimum" },
};

/**
 * Schemas of which a value is valid for one exactly if it is not valid for this keyword. Where the keyword says nothing, there is none.
 *
 * @param at without references and combinations
 * @throws ArgumentRangeError for a keyword whose opposite is none of a schema
 */
export function negatedLeaf(at: SchemaAt, keyword: string): readonly SchemaAt[] {
  return oppositesOf(at, keyword).map((schema, i) => made(at, `not ${keyword} ${i}`, schema));
}

function oppositesOf(at: SchemaAt, keyword: string): readonly Schema[] {
  const value = at.schema[keyword];
  switch (keyword) {
    case "type":
      return otherTypes(typesOf([at]));
    case "enum":
    case "const":
      return otherValues(at, keyword);
    case "required":
      return namesOf(at).map((name) => ({ type: "object", properties: { [name]: false } }));
    case "properties":
      if (!isRecord(value)) throw schemaError(at.pointer, keyword, "expected an object of schemas");
      return Object.entries(value).map(([name, one]) => {
        return { type: "object", required: [name], properties: { [name]: oppositeOf(one) } };
      });
    case "minLength":
    case "maxLength":
    case "pattern":
      return [{ type: "string", [notString]: { [keyword]: value } }];
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
    case "exclusiveMaximum":
      return [{ type: "number", [opposites[keyword]!]: numberOf(at, keyword) }];
    case "minItems":
    case "maxItems":
    case "minProperties":
    case "maxProperties":
      return otherCounts(at, keyword);
    case "uniqueItems":
      if (value === false) return [];
      break;
    case "contains":
      break;
    default:
      if (saysNothing(value)) return [];
  }
  throw schemaError(
    at.pointer,
    keyword,
    "not supported in not, in if, and in alternatives of oneOf that overlap",
  );
}

/** Schemas that every value is valid for. */
export const saysNothing = (value: unknown): boolean =>
  value === true || (isRecord(value) && Object.keys(value).length === 0);

function otherTypes(types: readonly JsonType[]): readonly SchemaObject[] {
  const others = jsonTypes.filter((type) => !types.includes(type));
  // Other numbers than integers are a type of none.
  const isSplit = others.includes("number") && !others.includes("integer");
  const whole = isSplit ? others.filter((type) => type !== "number") : others;
  return [
    ...(whole.length > 0 ? [{ type: whole }] : []),
    ...(isSplit ? [{ type: "number", [noInteger]: true }] : []),
  ];
}

function otherValues(at: SchemaAt, keyword: "enum" | "const"): readonly SchemaObject[] {
  const values = valuesOf(at, keyword);
  if (values.some((value) => typeof value === "object" && value !== null))
    throw schemaError(
      at.pointer,
      keyword,
      "objects and arrays are not supported in not, in if, and in alternatives of oneOf that overlap",
    );
  const types = new Set(values.map(typeOf));
  if (types.has("integer") || types.has("number"))
    for (const type of ["integer", "number"] as const) types.add(type);
  const free = jsonTypes.filter((type) => !types.has(type));
  const ofKind = (kind: string): unknown[] => values.filter((value) => typeof value === kind);
  const some: SchemaObject[] = [{ type: free }];
  if (types.has("boolean")) some.push({ enum: [true, false].filter((one) => !values.includes(one)) });
  if (types.has("string")) some.push({ type: "string", [otherThan]: ofKind("string") });
  if (types.has("number")) some.push({ type: "number", [otherThan]: ofKind("number") });
  return some;
}

function otherCounts(at: SchemaAt, keyword: string): readonly SchemaObject[] {
  const count = countOf(at, keyword);
  const type = keyword.endsWith("Items") ? "array" : "object";
  const what = keyword.slice(3);
  if (count === undefined) return [];
  if (keyword.startsWith("max")) return [{ type, [`min${what}`]: count + 1 }];
  return count === 0 ? [] : [{ type, [`max${what}`]: count - 1 }];
}
