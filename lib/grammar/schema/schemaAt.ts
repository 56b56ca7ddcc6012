/** Schemas by where they stand. */
import { ArgumentRangeError } from "../../errors.js";
import type { Resources } from "./resources.js";
import { escapePointer } from "./resources.js";

export type SchemaObject = Readonly<Record<string, unknown>>;
export type Schema = SchemaObject | boolean;

export interface SchemaAt {
  readonly schema: SchemaObject;
  /** From the root, for errors. */
  readonly pointer: string;
  /** Schemas of one key are the same; of one that is made here, not written by anybody, it is no pointer. */
  readonly key: string;
  /** Nobody wrote it: it may have keywords of its own (negation.ts). */
  readonly isMade?: boolean;
}

/** Schemas that hold together. */
export type Conjunction = readonly SchemaAt[];

/** @param problem of the keyword, such as "not supported" */
export function schemaError(pointer: string, keyword: string, problem: string): ArgumentRangeError {
  return new ArgumentRangeError(`schema: ${pointer}/${escapePointer(keyword)}: ${problem}`);
}

/** Whether no value is valid for it, as it says itself. */
export const isEmpty = ({ schema }: SchemaAt): boolean =>
  Array.isArray(schema["enum"]) && schema["enum"].length === 0;

/** @throws ArgumentRangeError for what is no schema */
export function schemaAt(value: unknown, pointer: string, key = pointer): SchemaAt {
  if (value === true) return { schema: {}, pointer, key };
  if (value === false) return { schema: { enum: [] }, pointer, key };
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ArgumentRangeError(`schema: ${pointer || "/"}: expected an object or a boolean`);
  return { schema: value as SchemaObject, pointer, key };
}

/** A schema within another. @throws ArgumentRangeError for what is none */
export function child({ schema, pointer, key }: SchemaAt, ...path: (string | number)[]): SchemaAt {
  let value: unknown = schema;
  let below = "";
  for (const part of path) {
    value = (value as Record<string, unknown>)[part];
    below += `/${escapePointer(String(part))}`;
  }
  return schemaAt(value, pointer + below, key + below);
}

/** A schema that stands nowhere, made from one that does. @param name tells those that are made from one apart */
export function made(from: SchemaAt, name: string, schema: Schema): SchemaAt {
  // A tilde of a pointer has a digit behind it.
  return { ...schemaAt(schema, from.pointer, `${from.key}~!${name}`), isMade: true };
}

/** What `$ref` names. @throws ArgumentRangeError */
export function resolve({ schema: { $ref: ref }, pointer }: SchemaAt, resources: Resources): SchemaAt {
  if (typeof ref !== "string") throw schemaError(pointer, "$ref", "expected a text");
  const found = resources.find(ref, pointer);
  if (!found)
    throw schemaError(pointer, "$ref", `nothing within this schema is named ${JSON.stringify(ref)}`);
  return schemaAt(found.value, found.pointer);
}
