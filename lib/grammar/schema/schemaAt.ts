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
  return new ArgumentRangeError(`schema: ${shown(pointer)}/${shown(escapePointer(keyword))}: ${problem}`);
}

/** Characters of each end of a pointer in an error. */
const maxShown = 200;

/** A long pointer without its middle: at its end it says most. */
export function shown(pointer: string): string {
  if (pointer.length <= 2 * maxShown) return pointer;
  return `${pointer.slice(0, maxShown)}...${pointer.slice(-maxShown)}`;
}

/** Whether no value is valid for it, as it says itself. */
export const isEmpty = ({ schema }: SchemaAt): boolean =>
  Array.isArray(schema["enum"]) && schema["enum"].length === 0;

/** @throws ArgumentRangeError for what is no schema */
export function schemaAt(value: unknown, pointer: string, key = pointer): SchemaAt {
  if (value === true) return { schema: {}, pointer, key };
  if (value === false) return { schema: { enum: [] }, pointer, key };
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ArgumentRangeError(`schema: ${shown(pointer) || "/"}: expected an object or a boolean`);
  return { schema: value as SchemaObject, pointer, key };
}

/** Schemas that stand nowhere around one that does. */
const opposites = new WeakSet<SchemaObject>();

/** `{ not: schema }` that nobody wrote: errors about the schema name where it stands itself. */
export function oppositeOf(schema: unknown): SchemaObject {
  const opposite = { not: schema };
  opposites.add(opposite);
  return opposite;
}

/** A schema within another. @throws ArgumentRangeError for what is none */
export function child({ schema, pointer, key }: SchemaAt, ...path: (string | number)[]): SchemaAt {
  let value: unknown = schema;
  let below = "";
  for (const part of path) {
    value = (value as Record<string, unknown>)[part];
    below += `/${escapePointer(String(part))}`;
  }
  return schemaAt(value, opposites.has(schema) ? pointer : pointer + below, key + below);
}

/** A schema that stands nowhere, made from one that does. @param name tells those that are made from one apart */
export function made(from: SchemaAt, name: string, schema: Schema): SchemaAt {
  // A tilde of a pointer has a digit behind it; the name may have names of properties in it.
  return { ...schemaAt(schema, from.pointer, `${from.key}~!${escapePointer(name)}`), isMade: true };
}

/** What `$ref` names. @throws ArgumentRangeError */
export function resolve({ schema: { $ref: ref }, pointer }: SchemaAt, resources: Resources): SchemaAt {
  if (typeof ref !== "string") throw schemaError(pointer, "$ref", "expected a text");
  const found = resources.find(ref, pointer);
  if (!found)
    throw schemaError(pointer, "$ref", `nothing within this schema is named ${JSON.stringify(ref)}`);
  return schemaAt(found.value, found.pointer);
}
