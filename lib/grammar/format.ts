/** What a caller may ask of the form of a text, and the grammar of it. */
import { describe } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";
import { compileGrammar } from "./ebnf/compile.js";
import { matchedBy } from "./syntax/pattern.js";
import { GrammarWriter, type WrittenGrammar } from "./syntax/rules.js";
import { compileSchema } from "./schema/compile.js";
import type { Schema } from "./schema/schemaAt.js";
import type { PartsFormat, StructuralTags, Thoughts, ThoughtState } from "./tags/part.js";
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
const maxWhitespace = 100;
/** Of what is copied to another thread, as JSON. */
const maxFormatChars = 2 ** 22;

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
  const kind = names.find((name) => kinds.includes(name as (typeof kinds)[number]));
  const others = names.filter((name) => name !== kind);
  if (kind === undefined || others.some((name) => !beside[kind]?.includes(name))) {
    const expected = `"json" or an object with one of ${kinds.join(", ")}`;
    throw new ArgumentTypeError(`format: expected ${expected}, got ${describe(format)}`);
  }
  const value = given[kind];
  if ((kind === "regex" || kind === "grammar") && typeof value !== "string")
    throw new ArgumentTypeError(`format.${kind}: expected a string, got ${describe(value)}`);
  if (kind === "choice") {
    if (
      !Array.isArray(value) ||
      value.length === 0 ||
      !value.every((one) => typeof one === "string" && one !== "")
    )
      throw new ArgumentTypeError(
        `format.choice: expected texts, at least one and none of them empty, got ${describe(value)}`,
      );
  }
  if (kind === "tags" && (typeof value !== "object" || value === null))
    throw new ArgumentTypeError(`format.tags: expected an object, got ${describe(value)}`);
  if (kind === "schema" && typeof value !== "boolean" && (typeof value !== "object" || value === null))
    throw new ArgumentTypeError(`format.schema: expected an object or a boolean, got ${describe(value)}`);
  const whitespace = checkWhitespace(given);
  let json: string;
  try {
    json = JSON.stringify(kind === "parts" ? given : { [kind]: value, ...whitespace });
  } catch (cause) {
    throw new ArgumentTypeError(`format.${kind}: expected plain data: ${String(cause)}`);
  }
  if (json.length <= maxFormatChars) return json;
  throw new ArgumentRangeError(
    `format.${kind}: expected at most ${maxFormatChars} characters as JSON, got ${json.length}`,
  );
}

/** Nothing for none, so that equal formats have equal JSON. */
function checkWhitespace({ whitespace = 0 }: Readonly<Record<string, unknown>>): object {
  if (typeof whitespace !== "number")
    throw new ArgumentTypeError(`format.whitespace: expected a number, got ${describe(whitespace)}`);
  if (!Number.isInteger(whitespace) || whitespace < 0 || whitespace > maxWhitespace)
    throw new ArgumentRangeError(
      `format.whitespace: expected an integer from 0 to ${maxWhitespace}, got ${whitespace}`,
    );
  return whitespace === 0 ? {} : { whitespace };
}

/** What may come before a text of a format. @throws ArgumentTypeError */
export function thoughtsOf(format: unknown): Thoughts | undefined {
  const given = (format as Partial<PartsFormat>).thoughts as unknown;
  if (given === undefined) return undefined;
  const { open, close, inPrompt = true } = (given ?? {}) as Partial<Record<keyof Thoughts, unknown>>;
  if (typeof open === "string" && open !== "" && typeof close === "string" && close !== "")
    return { open, close, inPrompt: inPrompt === true };
  throw new ArgumentTypeError(
    `format.thoughts: expected an object with the texts open and close, got ${describe(given)}`,
  );
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
  if ("tags" in format) return writeParts({ parts: format.tags }, tokens, state);
  const grammar = new GrammarWriter();
  const write = grammar.expressions;
  if ("choice" in format) {
    return grammar.finish(grammar.terminal(write.oneOf(format.choice)));
  }
  const whole = matchedBy({ source: format.regex }, write, write, "format.regex");
  return grammar.finish(grammar.terminal(whole));
}
