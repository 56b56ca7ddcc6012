/** Options against their schema. */
import type { z } from "zod";
import { ArgumentTypeError } from "../lib/index.js";

/** @returns with defaults. @throws ArgumentTypeError naming the option */
export function resolve<T>(what: string, schema: z.ZodType<T>, options: unknown): T {
  const { success, data, error } = schema.safeParse(options);
  if (success) return data;
  const { path, message } = error.issues[0]!;
  throw new ArgumentTypeError(`${what}: ${["options", ...path].join(".")}: ${message}`);
}
