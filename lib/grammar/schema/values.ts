/** Which values a schema names, and of which types. */
import { annotations, type JsonType, jsonTypes } from "./keywords.js";
import { type SchemaAt, schemaError } from "./refs.js";

/** Types that a schema allows; an integer is a number. @throws ArgumentRangeError */
export function typesOf({ schema, pointer }: SchemaAt): readonly JsonType[] {
  const { type = jsonTypes } = schema;
  const list = (Array.isArray(type) ? type : [type]) as readonly JsonType[];
  const strange = list.find((one) => !jsonTypes.includes(one));
  if (strange !== undefined || list.length === 0)
    throw schemaError(
      pointer,
      "type",
      `expected one of ${jsonTypes.join(", ")}, got ${JSON.stringify(type)}`,
    );
  return list.includes("number") ? [...new Set<JsonType>([...list, "integer"])] : list;
}

/** Values of enum and const that all have; undefined: there is none of these. @throws ArgumentRangeError */
export function literalsOf(list: readonly SchemaAt[]): readonly unknown[] | undefined {
  let all: ReadonlyMap<string, unknown> | undefined;
  for (const { schema, pointer } of list) {
    for (const keyword of ["enum", "const"] as const) {
      if (!(keyword in schema)) continue;
      const values = keyword === "const" ? [schema["const"]] : schema["enum"];
      if (!Array.isArray(values)) throw schemaError(pointer, keyword, "expected a list of values");
      const own = new Map(values.map((value: unknown) => [JSON.stringify(value), value]));
      all = all === undefined ? own : new Map([...all].filter(([text]) => own.has(text)));
    }
  }
  return all && [...all.values()];
}

export function isOfType(value: unknown, types: readonly JsonType[]): boolean {
  if (value === null) return types.includes("null");
  if (Array.isArray(value)) return types.includes("array");
  if (typeof value === "number") return types.includes(Number.isInteger(value) ? "integer" : "number");
  return types.includes(typeof value as JsonType);
}

/** Whether a schema says nothing of its values. */
export const isFree = (schema: SchemaAt["schema"]): boolean =>
  Object.keys(schema).every((key) => annotations.has(key));
