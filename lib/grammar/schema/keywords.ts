/** The keywords of JSON Schema (2020-12, and draft-07 where that differs): what becomes of each. One that is not here is an error. */

/** They say nothing of which values are valid. */
export const annotations: ReadonlySet<string> = new Set([
  ...["title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment"],
  ...["$schema", "$id", "id", "$anchor", "$defs", "definitions", "contentEncoding", "contentMediaType"],
]);

/** Types that a keyword is about; it says nothing of values of others. */
export const keywordTypes: Readonly<Record<string, readonly JsonType[]>> = {
  ...{ minLength: ["string"], maxLength: ["string"], pattern: ["string"], format: ["string"] },
  ...{ minimum: ["number", "integer"], maximum: ["number", "integer"], multipleOf: ["number", "integer"] },
  ...{ exclusiveMinimum: ["number", "integer"], exclusiveMaximum: ["number", "integer"] },
  ...{ properties: ["object"], required: ["object"], additionalProperties: ["object"] },
  ...{ patternProperties: ["object"], propertyNames: ["object"] },
  ...{ items: ["array"], prefixItems: ["array"], additionalItems: ["array"] },
  ...{ minItems: ["array"], maxItems: ["array"] },
};

/** Those that combine others, or name values. */
export const combining: ReadonlySet<string> = new Set([
  ...["type", "enum", "const", "allOf", "anyOf", "oneOf", "$ref"],
]);

export const jsonTypes = ["null", "boolean", "integer", "number", "string", "array", "object"] as const;
export type JsonType = (typeof jsonTypes)[number];
