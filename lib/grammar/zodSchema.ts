/** Schemas of zod 4, which is loaded when the first one comes. */
import type { $ZodType, output } from "zod/v4/core";
import { ArgumentRangeError } from "../errors.js";
import { formats } from "./schema/formats.js";

export type ZodSchema = $ZodType;
export type ZodOutput<S extends ZodSchema> = output<S>;

export function isZodSchema(schema: unknown): schema is ZodSchema {
  return typeof schema === "object" && schema !== null && "_zod" in schema;
}

/**
 * What JSON has to be for `schema` to take it. Objects have no other properties than those that are named, unless `catchall` or `loose`
 * says so: zod would drop them.
 *
 * @throws ArgumentRangeError for types that JSON does not have
 */
export async function jsonSchemaOf(schema: ZodSchema): Promise<object> {
  const { regexes, toJSONSchema } = await import("zod/v4/core");
  const named = new Map(["duration", "hostname"].map((name) => [regexes[name as "duration"].source, name]));
  /** What its pattern looks around for, the format of that name says. */
  const unlooking = <T extends { pattern?: string; format?: string }>(one: T): void => {
    const name = named.get(one.pattern ?? "");
    if (name === undefined) return;
    delete one.pattern;
    one.format = name;
  };
  try {
    return toJSONSchema(schema, {
      io: "input",
      override: ({ zodSchema: { _zod: one }, jsonSchema }) => {
        if (one.def.type === "object" && !("catchall" in one.def && one.def.catchall))
          jsonSchema.additionalProperties = false;
        // Of a format that has no name here zod gives the pattern as well.
        const { format, pattern, allOf = [] } = jsonSchema;
        const hasPattern = pattern !== undefined || allOf.some((part) => part.pattern !== undefined);
        if (format !== undefined && hasPattern && !Object.hasOwn(formats, format)) delete jsonSchema.format;
        for (const part of [jsonSchema, ...allOf]) unlooking(part);
      },
    });
  } catch (cause) {
    throw new ArgumentRangeError(`schema: ${(cause as Error).message}`);
  }
}

/** @returns the value as the schema gives it, or what is wrong with it */
export async function parseWithZod(
  schema: ZodSchema,
  value: unknown,
): Promise<{ readonly value: unknown } | { readonly error: Error }> {
  const { prettifyError, safeParseAsync } = await import("zod/v4/core");
  const parsed = await safeParseAsync(schema, value);
  if (parsed.success) return { value: parsed.data };
  const { error } = parsed;
  return { error: new Error(prettifyError(error), { cause: error }) };
}
