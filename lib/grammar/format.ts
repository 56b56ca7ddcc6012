/** What a caller may ask of the form of a text, and the grammar of it. */
import { describe } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";
import { compileGrammar } from "./ebnf/compile.js";
import type { WrittenGrammar } from "./syntax/rules.js";
import { compileSchema } from "./schema/compile.js";
import type { Schema } from "./schema/schemaAt.js";
import type { PartsFormat, StructuralTags, Thoughts, ThoughtState } from "./tags/part.js";
import { checkParts, checkWhole } from "./tags/checkParts.js";
import { writeParts } from "./tags/partWriter.js";
import type { ControlToken } from "./syntax/controlTokens.js";

/** The form of a text. */
export type OutputFormat =
  /** Any object of JSON. */
  | "json"
  /**
   * A value of JSON that is valid for a schema (2020-12; draft-07 where that differs), as JSON.stringify writes it. `whitespace`: how many
   * spaces, line feeds and tabs may stand behind each of { [ , : and before each of ] }; default 0, at most 100.
   */
  | { readonly schema: object | boolean; readonly whitespace?: number | undefined }
  /** A text that the pattern matches as a whole. JavaScript's, with the flag "u"; no looking around, no references. */
  | { readonly regex: string }
  /** One of these texts. */
  | { readonly choice: readonly string[] }
  /** A text of a grammar: GBNF as llama.cpp has it (`root ::= ...`), or as Lark's (`start: ...`). */
  | { readonly grammar: string }
  /** Free text, and tags in it whose content has a form. */
  | { readonly tags: StructuralTags }
  /** Parts one after another, and what a model may think before them. */
  | PartsFormat;

const kinds = ["schema", "regex", "choice", "grammar", "tags", "parts"] as const;
/** What may stand beside a kind. */
const beside: Readonly<Record<string, readonly string[]>> = {
  schema: ["whitespace"],
  parts: ["rules", "spelled", "thoughts"],
};
/** Of what is copied to another thread, as JSON. */
const maxFormatChars = 2 ** 20;

/**
 * A format as plain data that nobody changes any more.
 *
 * @returns its JSON, by which equal formats are known
 * @throws ArgumentTypeError, ArgumentRangeError
 */
export function checkFormat(format: unknown): string {
  if (format === "json") return JSON.stringify({ schema: { type: "object" } });
  const given = format as Readonly<Record<string, unknown>>;
  const names = typeof format === "object" && format !== null ? Object.keys(format) : [];
  const kind = kinds.find((name) => names.includes(name));
  const others = names.filter((name) => name !== kind);
  if (kind === undefined || others.some((name) => !beside[kind]?.includes(name))) {
    const expected = `"json" or an object with one of ${kinds.join(", ")}`;
    throw new ArgumentTypeError(`format: expected ${expected}, got ${describe(format)}`);
  }
  if (kind === "parts") checkParts(given);
  else checkWhole(given, kind);
  // Equal formats have equal JSON.
  const { whitespace, ...rest } = given;
  const json = JSON.stringify(whitespace === 0 ? rest : given);
  if (json.length <= maxFormatChars) return json;
  throw new ArgumentRangeError(
    `format.${kind}: expected at most ${maxFormatChars} characters as JSON, got ${json.length}`,
  );
}

/** @param json of checkFormat @returns what errors of the whole call it */
export function nameOf(json: string): string {
  const { parts } = JSON.parse(json) as { readonly parts?: { readonly name?: string } | string };
  return (typeof parts === "object" ? parts.name : undefined) ?? "format";
}

/** @param format of checkFormat @returns what may come before a text of it */
export function thoughtsOf(format: unknown): Thoughts | undefined {
  const { thoughts } = format as Partial<PartsFormat>;
  return thoughts && { open: thoughts.open, close: thoughts.close, inPrompt: thoughts.inPrompt ?? true };
}

/** What a grammar is written for. */
export interface GrammarPlace {
  /** Of the vocabulary. */
  readonly tokens: readonly ControlToken[];
  /** Where the text begins. */
  readonly state: ThoughtState;
}

/** @param json of checkFormat @throws ArgumentRangeError for what is not supported, naming it and where it stands */
export function writeFormat(
  json: string,
  { tokens, state }: GrammarPlace = { tokens: [], state: "before" },
): WrittenGrammar {
  const format = JSON.parse(json) as Exclude<OutputFormat, "json">;
  if ("schema" in format) return compileSchema(format.schema as Schema, format);
  if ("grammar" in format) return compileGrammar(format.grammar);
  if ("parts" in format) return writeParts(format, tokens, state);
  return writeParts({ parts: "tags" in format ? format.tags : format }, tokens, state);
}
