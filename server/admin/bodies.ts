/** What the admin plane is sent. */
import { z } from "zod";
import { badField } from "../errors.js";
import { splitSchema } from "../registry/split.js";
import { shadowSchema } from "../registry/state.js";

/** Ids that no URL can end with, and one that objects lose. */
const unusable = [".", "..", "__proto__"];
/** Ids of versions are in headers and labels. */
const versionId = z
  .string()
  .regex(/^[\w.:/@+-]{1,128}$/, "expected 1 to 128 letters, digits and characters of . : / @ + - _")
  .refine((id) => !unusable.includes(id), {
    error: ({ input }) => `expected another id than ${String(input)}`,
  });
const model = z.string().min(1);
const drainMs = z.number().min(0).max(0x7fffffff);

export const nameBody = z
  .strictObject({ split: splitSchema.optional(), shadow: shadowSchema.nullable().optional() })
  .refine(({ split, shadow }) => split !== undefined || shadow !== undefined, "expected split or shadow");
export const loadBody = z.strictObject({ version: versionId, model });
export const swapBody = z.strictObject({
  version: versionId,
  model: model.optional(),
  keep: z.boolean().default(true),
  drainMs: drainMs.default(30_000),
});
export const removeQuery = z.strictObject({
  drainMs: z.string().regex(/^\d+$/, "expected milliseconds").transform(Number).pipe(drainMs).optional(),
});

/** @throws HttpError 400 naming the field */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const issue = error.issues[0]!;
  if (issue.code === "unrecognized_keys")
    throw badField(issue.keys[0]!.slice(0, 80), "unknown field", "unknown_parameter");
  const message = issue.message
    .replace(/^Invalid input: /, "")
    .replace(/^[A-Z]/, (letter) => letter.toLowerCase());
  throw badField(issue.path.join(".") || "body", message);
}
