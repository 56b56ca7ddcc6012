/** Fields that say what form an answer has: OpenAI's, and vLLM's by its older and its newer names. */
import { z } from "zod";
import type { OutputFormat } from "../../lib/index.js";
import { badField } from "../errors.js";
import { chosen, refused, supported } from "./field.js";
import { type StructuralTag, structuralTag, tagsOf } from "./structuralTag.js";

export type Schema = object | boolean;

const schema = z.custom<Schema>(
  (value) =>
    typeof value === "boolean" || (typeof value === "object" && value !== null && !Array.isArray(value)),
  "expected a JSON schema",
);
/** vLLM takes it as text, too. */
const schemaOrText = z.preprocess((value, context) => {
  if (typeof value !== "string") return value;
  try {
    return JSON.parse(value) as unknown;
  } catch {
    context.addIssue({ code: "custom", message: "expected a JSON schema" });
    return z.NEVER;
  }
}, schema);
const regex = z.string().min(1);
const grammar = z.string().min(1);
const choice = z.array(z.string().min(1)).min(1).max(10_000);

/** What OpenAI says of a schema. `strict` is no choice here: every answer is valid. */
export const namedSchema = {
  name: z.string().min(1),
  description: z.string().nullish(),
  schema: schema.nullish(),
  strict: z.boolean().nullish(),
};

type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object"; readonly schema?: Schema | null | undefined }
  | { readonly type: "json_schema"; readonly json_schema: { readonly schema?: Schema | null | undefined } }
  | StructuralTag;

/** Forms by their types: those that all routes have, of which llama.cpp has the schema of an object, and those of one. */
export function formats<T>(own: Readonly<Record<string, z.ZodType>>): z.ZodType<T> {
  const known: Readonly<Record<string, z.ZodType>> = {
    text: z.strictObject({ type: z.literal("text") }),
    json_object: z.strictObject({ type: z.literal("json_object"), schema: schema.nullish() }),
    ...own,
  };
  const types = Object.keys(known);
  const none = z.looseObject({
    type: z.enum(types, `expected one of ${types.map((type) => JSON.stringify(type)).join(", ")}`),
  });
  return chosen<T>((value) => {
    const type = (value as { readonly type?: unknown } | null)?.type;
    const found = typeof type === "string" && Object.hasOwn(known, type) ? known[type]! : none;
    return found as z.ZodType<T>;
  });
}

const responseFormat = formats<ResponseFormat>({
  json_schema: z.strictObject({ type: z.literal("json_schema"), json_schema: z.strictObject(namedSchema) }),
  structural_tag: structuralTag,
});

const structuredOutputs = z.strictObject({
  json: schemaOrText.nullish(),
  regex: regex.nullish(),
  choice: choice.nullish(),
  json_object: z.literal(true, "expected true").nullish(),
  structural_tag: structuralTag.nullish(),
  disable_any_whitespace: z.boolean().nullish(), // there is none anyway
  disable_additional_properties: z.literal(false, "expected false: say it in the schema").nullish(),
  disable_fallback: z.boolean().nullish(), // there is none
  whitespace_pattern: z.null("expected null: there is no white space between tokens of JSON").optional(),
  grammar: grammar.nullish(),
});

export const constraintFields = {
  response_format: supported(
    responseFormat,
    "`text`, `json_object` (with `schema`, if you like), `json_schema` with `json_schema: { name, schema }`, or vLLM's `structural_tag`: every answer has the form ([constrained.md](constrained.md)); `strict` changes nothing",
  ),
  structured_outputs: supported(
    structuredOutputs,
    "as vLLM has it, one of `json`, `regex`, `choice`, `grammar`, `json_object`, `structural_tag`",
  ),
  guided_json: supported(schemaOrText, "a JSON schema, which the answer is valid for"),
  guided_regex: supported(regex, "a regular expression of JavaScript, which matches the whole answer"),
  guided_choice: supported(choice, "texts, one of which is the answer"),
  guided_grammar: supported(grammar, "a grammar in GBNF or Lark's form, of which the answer is a text"),
  guided_whitespace_pattern: refused("there is no white space between tokens of JSON"),
  guided_decoding_backend: refused("there is one"),
};

interface ConstraintBody {
  readonly response_format?: ResponseFormat | undefined;
  readonly structured_outputs?: z.output<typeof structuredOutputs> | undefined;
  readonly guided_json?: Schema | undefined;
  readonly guided_regex?: string | undefined;
  readonly guided_choice?: string[] | undefined;
  readonly guided_grammar?: string | undefined;
}

/** A format, and the field that asks for it. */
export interface WantedFormat {
  readonly field: string;
  readonly format: OutputFormat;
}

/** @returns undefined: the answer is any text. @throws HttpError 400 for more than one */
export function wantedFormat(body: ConstraintBody): WantedFormat | undefined {
  const {
    response_format: format,
    structured_outputs: outputs,
    guided_json,
    guided_regex,
    guided_choice,
    guided_grammar,
  } = body;
  const wanted = [
    ofResponse("response_format", format),
    ofSchema("guided_json", guided_json),
    ofRegex("guided_regex", guided_regex),
    ofChoice("guided_choice", guided_choice),
    ofGrammar("guided_grammar", guided_grammar),
    ofSchema("structured_outputs.json", outputs?.json),
    ofRegex("structured_outputs.regex", outputs?.regex),
    ofChoice("structured_outputs.choice", outputs?.choice),
    ofGrammar("structured_outputs.grammar", outputs?.grammar),
    outputs?.json_object ? { field: "structured_outputs.json_object", format: "json" as const } : undefined,
    ofTags("structured_outputs.structural_tag", outputs?.structural_tag),
  ].filter((one) => one !== undefined);
  const [first, second] = wanted;
  if (second) throw badField(second.field, `expected one form of the answer: ${first!.field} is another one`);
  return first;
}

function ofResponse(field: string, format: ResponseFormat | undefined): WantedFormat | undefined {
  if (format === undefined || format.type === "text") return undefined;
  if (format.type === "json_object") return ofObject(field, format.schema);
  if (format.type === "structural_tag") return ofTags(field, format);
  return ofSchema(`${field}.json_schema.schema`, format.json_schema.schema ?? { type: "object" });
}

/** An object, or what the schema says. */
export const ofObject = (field: string, value: Schema | null | undefined): WantedFormat =>
  ofSchema(`${field}.schema`, value) ?? { field, format: "json" };

/** Errors of the schema have the field's name. */
export function ofSchema(field: string, value: Schema | null | undefined): WantedFormat | undefined {
  if (value === undefined || value === null) return undefined;
  return { field, format: { parts: { schema: value, name: field } } };
}

function ofRegex(field: string, value: string | null | undefined): WantedFormat | undefined {
  return value ? { field, format: { parts: { regex: value, name: field } } } : undefined;
}

function ofGrammar(field: string, value: string | null | undefined): WantedFormat | undefined {
  return value ? { field, format: { parts: { grammar: value, name: field } } } : undefined;
}

function ofChoice(field: string, value: readonly string[] | null | undefined): WantedFormat | undefined {
  return value ? { field, format: { choice: value } } : undefined;
}

function ofTags(field: string, value: StructuralTag | null | undefined): WantedFormat | undefined {
  return value ? { field, format: { parts: tagsOf(field, value) } } : undefined;
}
