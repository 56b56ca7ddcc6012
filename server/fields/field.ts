/**
 * Rows of the table of request fields. Each field of OpenAI's and vLLM's requests is supported, refused with the message that its row
 * has, or ignored because it changes no answer; one that is in no row is refused as unknown.
 */
import { z } from "zod";
import type { GenerateOptions } from "../../lib/index.js";
import { badField, HttpError } from "../errors.js";

interface Row<Schema extends z.ZodType> {
  /** What values it takes. */
  readonly schema: Schema;
  /** What it does; why it is refused, which is the message; or why it is ignored. */
  readonly says: string;
}

export interface Supported<Schema extends z.ZodType, Required extends boolean> extends Row<Schema> {
  readonly status: "supported";
  readonly required: Required;
  /** The option of `generate` that it is. */
  readonly option?: keyof GenerateOptions | undefined;
}

export interface Refused extends Row<z.ZodType> {
  readonly status: "refused";
  readonly required: false;
}

export interface Ignored extends Row<z.ZodType> {
  readonly status: "ignored";
  readonly required: false;
}

export type Field = Supported<z.ZodType, boolean> | Refused | Ignored;
export type Fields = Readonly<Record<string, Field>>;

/** A request whose fields have been checked. */
export type Body<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends Supported<infer Schema, infer Required>
    ? z.output<Schema> | (Required extends true ? never : undefined)
    : unknown;
};

export function supported<Schema extends z.ZodType>(
  schema: Schema,
  says: string,
  option?: keyof GenerateOptions,
): Supported<Schema, false> {
  return { status: "supported", required: false, schema, says, option };
}

export function required<Schema extends z.ZodType>(schema: Schema, says: string): Supported<Schema, true> {
  return { status: "supported", required: true, schema, says };
}

/** @param neutral values that ask for nothing, which clients send by default */
export function refused(says: string, neutral: z.ZodType = z.never()): Refused {
  const schema = z.unknown().refine((value) => neutral.safeParse(value).success, says);
  return { status: "refused", required: false, schema, says };
}

export function ignored(says: string, schema: z.ZodType = z.unknown()): Ignored {
  return { status: "ignored", required: false, schema, says };
}

/** Keys that are too many are a place, too. */
const placed = (issue: z.core.$ZodIssue): Pick<z.core.$ZodIssue, "path" | "message"> =>
  issue.code === "unrecognized_keys"
    ? { path: [...issue.path, issue.keys[0]!.slice(0, 80)], message: "unknown field" }
    : issue;

/** A schema that is chosen by the value, so that errors name the place inside it, which those of a union do not. */
export function chosen<T>(choose: (value: unknown) => z.ZodType<T>): z.ZodType<T> {
  const schema = z.unknown().superRefine((value, context) => {
    const { error } = choose(value).safeParse(value);
    for (const { path, message } of (error?.issues ?? []).map(placed))
      context.addIssue({ code: "custom", path: [...path], message });
  });
  return schema as unknown as z.ZodType<T>;
}

/** JSON.parse takes any depth, and what reads a field does not: schemas, templates, and checks themselves. */
const maxDepth = 200;
const isShallow = (value: unknown, depth = 0): boolean => {
  if (typeof value !== "object" || value === null) return true;
  const values: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return depth < maxDepth && values.every((one) => isShallow(one, depth + 1));
};

/**
 * The checked fields of a request. null is as if the field were not there, which is how clients leave optional ones out.
 * @throws HttpError 400, which names the field
 */
export function parseBody<F extends Fields>(fields: F, value: unknown): Body<F> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new HttpError(400, "expected a JSON object as body");
  const given = new Map(Object.entries(value).filter(([, one]) => one !== null));
  for (const [name, one] of given) {
    if (!Object.hasOwn(fields, name)) throw badField(name.slice(0, 80), "unknown field", "unknown_parameter");
    if (!isShallow(one)) throw badField(name, `expected at most ${maxDepth} levels`);
  }
  const body: Record<string, unknown> = {};
  for (const [name, { schema, required: isRequired }] of Object.entries(fields)) {
    const one: unknown = given.get(name);
    if (one !== undefined) body[name] = checkField(name, schema, one);
    else if (isRequired) throw badField(name, "missing", "missing_required_parameter");
  }
  return body as Body<F>;
}

function checkField(name: string, schema: z.ZodType, value: unknown): unknown {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const { path, message } = placed(error.issues[0]!);
  const place = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`)).join("");
  throw badField(`${name}${place}`, message.replace(/^Invalid input: /, "").replace(/^[A-Z]/, lower));
}

const lower = (letter: string): string => letter.toLowerCase();

/** The options of `generate` that fields are by themselves. */
export function optionsOf<F extends Fields>(fields: F, body: Body<F>): GenerateOptions {
  const entries = Object.entries(fields).flatMap(([name, field]) =>
    field.status === "supported" && field.option !== undefined && body[name] !== undefined
      ? [[field.option, body[name]] as const]
      : [],
  );
  return Object.fromEntries(entries);
}
