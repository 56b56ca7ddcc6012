/** The keywords of JSON Schema (2020-12, and draft-07 where that differs): what becomes of each. One that is not here is an error. */

/** They say nothing of which values are valid. */
const annotations: ReadonlySet<string> = new Set([
  ...["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"],
  ...["$schema", "$id", "id", "$anchor", "$dynamicAnchor", "$vocabulary", "$defs", "definitions"],
  ...["contentEncoding", "contentMediaType", "contentSchema"],
]);

/** Keywords of single values, arrays and objects: what a schema still has once references and combinations are taken apart. */
export const leaves: ReadonlySet<string> = new Set([
  ...["type", "enum", "const", "minLength", "maxLength", "pattern", "format"],
  ...["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  ...["properties", "required", "additionalProperties", "patternProperties", "propertyNames"],
  ...["minProperties", "maxProperties", "unevaluatedProperties"],
  ...["items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems"],
  ...["contains", "minContains", "maxContains", "unevaluatedItems"],
]);

/** Those that combine others. */
export const combining: ReadonlySet<string> = new Set([
  ...["$ref", "allOf", "anyOf", "oneOf", "not", "if", "then", "else"],
  ...["dependentRequired", "dependentSchemas", "dependencies"],
]);

/** Extensions that begin with "x-" are annotations by convention (OpenAPI, Kubernetes). */
export const isAnnotation = (key: string): boolean => annotations.has(key) || key.startsWith("x-");

/** Keywords whose value is a schema, a list of schemas, or an object of schemas: where references may lead, and `$id` may stand. */
export const subschemas = {
  one: [
    ...["additionalProperties", "unevaluatedProperties", "propertyNames", "items", "additionalItems"],
    ...["unevaluatedItems", "contains", "not", "if", "then", "else", "contentSchema"],
  ],
  list: ["allOf", "anyOf", "oneOf", "prefixItems", "items"],
  map: [...["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"]],
} as const;

export const jsonTypes = ["null", "boolean", "integer", "number", "string", "array", "object"] as const;
export type JsonType = (typeof jsonTypes)[number];
