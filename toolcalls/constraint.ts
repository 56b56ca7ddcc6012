/**
 * The grammar that holds a model to what was asked of its answer: calls of tools in the syntax of its family, where they have to come or
 * have to obey their schemas, and a format of the answer. What it thinks before is free.
 */
import {
  ArgumentRangeError,
  type OutputFormat,
  type PartsFormat,
  type TextPart,
  type Thoughts,
} from "../lib/index.js";
import { ToolTypes } from "./argumentTypes.js";
import type { ChatFormat } from "./detect.js";
import { functionOf, type ToolDefinition } from "./events.js";
import { objectSchema } from "./objectSchema.js";
import type { ToolSyntax } from "./syntax.js";
import type { Vocabulary } from "./tokenPieces.js";
import { isReadable, type Slot, type WrittenCalls } from "./written.js";

/** Whether the model has to call a tool, and which: "auto" leaves it to the model. */
export type ToolChoice = "auto" | "required" | { readonly name: string };

export interface WantedOutput {
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice: ToolChoice;
  readonly parallelToolCalls: boolean;
  /** Of the answer. */
  readonly format: OutputFormat | undefined;
}

/**
 * @param vocabulary says which tokens there are
 * @returns undefined: the model may write what it likes
 * @throws ArgumentRangeError about `tools`, `toolChoice`
 */
export function constraintOf(
  { syntax, reasoning }: Pick<ChatFormat, "syntax" | "reasoning">,
  { tools, toolChoice, parallelToolCalls, format }: WantedOutput,
  vocabulary: Pick<Vocabulary, "tokenId"> | null | undefined,
): OutputFormat | undefined {
  const isForced = toolChoice !== "auto";
  const callable = callableTools(tools, toolChoice);
  const isStrict = isForced || callable.some(({ strict }) => strict);
  if (!isStrict && format === undefined) return undefined;
  const never = neverIn(syntax, tools);
  const bare = notFirst(syntax);
  const answer = format === undefined ? { free: never, ...bare } : partOf(format);
  const framed: TextPart = syntax?.answer ? { sequence: [syntax.answer.open, answer] } : answer;
  const thoughts = thoughtsOf(syntax, reasoning, never);
  const calls =
    callable.length > 0
      ? new CallWriter(syntax!, callable, { isForced, isParallel: parallelToolCalls, vocabulary }).calls()
      : undefined;
  if (!calls) {
    if (framed === answer && !thoughts.thoughts) return format;
    return { ...rest(format), parts: framed, ...thoughts };
  }
  // Free text goes on to a call, but for families whose calls begin with the answer; an answer of a form is one or the other.
  const goesOn = format === undefined && !syntax!.answer && bare.notFirst === undefined;
  const called: TextPart = { sequence: [calls.begin, calls.parts] };
  const free: TextPart = { sequence: [{ free: never, end: calls.begin }, calls.parts] };
  const either: TextPart = { either: [framed, goesOn ? free : called] };
  const { rules, spelled } = rest(format);
  return {
    // Calls that have to come stand in place of an answer, whose form has to be one all the same: it is read, and goes nowhere.
    parts: isForced ? (format ? { either: [called, { sequence: [answer, nothing] }] } : called) : either,
    rules: { ...rules, ...calls.rules },
    spelled: [...(spelled ?? []), ...(calls.spelled ?? [])],
    ...thoughts,
  };
}

/** Matches no text. */
const nothing: TextPart = { regex: "[]" };

/** A tool that may be called. */
interface CallableTool {
  readonly name: string;
  readonly parameters: object;
  /** Held to its schema; undefined: where calls have to come. */
  readonly strict: boolean | undefined;
  /** What errors call it. */
  readonly field: string;
}

function callableTools(tools: readonly ToolDefinition[], choice: ToolChoice): readonly CallableTool[] {
  const all = tools.map((tool, i): CallableTool => {
    const { name, parameters, strict } = functionOf(tool)!;
    const field = tool.function ? `tools[${i}].function` : `tools[${i}]`;
    const none = { type: "object", properties: {}, additionalProperties: false };
    return { name, parameters: parameters ?? none, strict: strict ?? undefined, field };
  });
  if (choice === "auto") return all;
  if (all.length === 0) throw new ArgumentRangeError("toolChoice: expected tools to choose from");
  const named = choice === "required" ? all : all.filter(({ name }) => name === choice.name);
  if (named.length > 0) return named;
  const names = all.map(({ name }) => name).join(", ");
  throw new ArgumentRangeError(`toolChoice: expected one of ${names}, got ${JSON.stringify(choice)}`);
}

interface CallRules {
  readonly isForced: boolean;
  readonly isParallel: boolean;
  readonly vocabulary: Pick<Vocabulary, "tokenId"> | null | undefined;
}

interface WrittenParts extends Pick<PartsFormat, "parts" | "rules" | "spelled"> {
  readonly begin: string;
}

class CallWriter {
  readonly #syntax: ToolSyntax;
  readonly #tools: readonly CallableTool[];
  readonly #rules: CallRules;
  readonly #form: WrittenCalls;

  constructor(syntax: ToolSyntax, tools: readonly CallableTool[], rules: CallRules) {
    const { vocabulary } = rules;
    this.#syntax = syntax;
    this.#tools = tools;
    this.#rules = rules;
    this.#form = syntax.writes.find(
      ({ token }) => token === undefined || vocabulary?.tokenId(token) !== undefined,
    )!;
    const { names = /^[^\s<>{}"'()[\],;=]+$/, call } = this.#form;
    const isQuoted = call.some((part) => typeof part !== "string" && part.slot === "quotedName");
    const strange = tools.find(({ name }) => !(isReadable(name) && (isQuoted || names.test(name))));
    if (strange)
      throw new ArgumentRangeError(
        `${strange.field}.name: the form of this model's calls (${syntax.name}) has no place for ${JSON.stringify(strange.name)}`,
      );
  }

  /** Calls: the text that they begin with, and the rest. */
  calls(): WrittenParts {
    const { open = "", close, between = "", most = Infinity } = this.#form;
    const max = this.#rules.isParallel ? most : 1;
    const isNumbered = this.#form.call.some((part) => typeof part !== "string" && part.slot === "index");
    const further: TextPart = isNumbered
      ? this.#numbered(max)
      : {
          repeat: { sequence: [between, this.#call(0)] },
          ...(max < Infinity && { max: max - 1 }),
        };
    const rules = Object.fromEntries(this.#tools.map((tool, i) => [`arguments${i}`, this.#arguments(tool)]));
    const { spelled } = this.#syntax;
    const [first] = this.#form.call;
    const begin = open + (typeof first === "string" ? first : "");
    const parts = [
      this.#call(0, typeof first === "string" ? 1 : 0),
      ...(max > 1 ? [further] : []),
      ...(close === undefined ? [] : [close]),
    ];
    return { begin, parts: { sequence: parts }, rules, ...(spelled && { spelled }) };
  }

  /** Further calls, which have their number in them. */
  #numbered(most: number): TextPart {
    let further: TextPart = "";
    for (let index = most - 1; index > 0; index--)
      further = { either: ["", { sequence: [this.#form.between ?? "", this.#call(index), further] }] };
    return further;
  }

  /** @param from which of its parts it begins with */
  #call(index: number, from = 0): TextPart {
    const slot = (tool: CallableTool, i: number, part: string | Slot): TextPart => {
      if (typeof part === "string") return part;
      if (part.slot === "name") return tool.name;
      if (part.slot === "quotedName") return JSON.stringify(tool.name);
      return part.slot === "index" ? String(index) : { rule: `arguments${i}` };
    };
    return {
      either: this.#tools.map((tool, i) => ({
        sequence: joined(this.#form.call.slice(from).map((part) => slot(tool, i, part))),
      })),
    };
  }

  #arguments(tool: CallableTool): TextPart {
    const { parameters, strict, field } = tool;
    const isHeld = strict ?? this.#rules.isForced;
    const name = `${field}.parameters`;
    const members = this.#form.call.find((part) => typeof part !== "string" && part.slot === "members");
    if (members === undefined)
      return { schema: isHeld ? objectSchema(parameters, name) : { type: "object" }, name };
    const { slot: _, ...form } = members;
    const types = typesOf(tool);
    return {
      ...form,
      ...{ members: isHeld ? objectSchema(parameters, name) : typedSchema(parameters, types), name, types },
      untyped: this.#syntax.values?.untyped,
    };
  }
}

/** Texts beside each other are one. */
function joined(parts: readonly TextPart[]): TextPart[] {
  const all: TextPart[] = [];
  for (const part of parts) {
    const last = all.at(-1);
    if (typeof part === "string" && typeof last === "string") all[all.length - 1] = last + part;
    else all.push(part);
  }
  return all;
}

type Types = Readonly<Record<string, readonly string[] | null>>;

/** What the reader of the calls takes the values for. */
function typesOf({ name, parameters }: CallableTool): Types {
  const known = new ToolTypes([{ name, parameters }]).typesOf(name);
  const { properties = {} } = parameters as { readonly properties?: object };
  return Object.fromEntries(
    Object.keys(properties ?? {}).map((key) => {
      const types = known(key);
      return [key, types ? [...types] : null];
    }),
  );
}

/** What arguments are at least. */
function typedSchema(parameters: object, types: Types): object {
  const entries = Object.entries(types).map(([key, type]) => [key, type ? { type } : {}] as const);
  const { required = [] } = parameters as { readonly required?: unknown };
  return { type: "object", properties: Object.fromEntries(entries), required };
}

/** What begins a call, and stands in no text that is none. */
function neverIn(syntax: ToolSyntax | undefined, tools: readonly ToolDefinition[]): readonly string[] {
  if (!syntax) return [];
  const entries = tools.length > 0 ? syntax.entries.filter(({ bare }) => bare !== "start") : [];
  return [...entries.map(({ on }) => on), ...(syntax.answer?.never ?? [])];
}

function notFirst(syntax: ToolSyntax | undefined): { readonly notFirst?: string } {
  const first = syntax?.entries.filter(({ bare }) => bare === "start").map(({ on }) => on) ?? [];
  return first.length > 0 ? { notFirst: first.join("") } : {};
}

function thoughtsOf(
  syntax: ToolSyntax | undefined,
  reasoning: Pick<Thoughts, "open" | "close"> | undefined,
  never: readonly string[],
): { readonly thoughts?: Thoughts } {
  if (syntax?.answer) return { thoughts: { ...syntax.answer.thoughts, never: syntax.answer.never } };
  return reasoning ? { thoughts: { open: reasoning.open, close: reasoning.close, never } } : {};
}

/** A format as a part of a text. */
function partOf(format: OutputFormat): TextPart {
  if (format === "json") return { schema: { type: "object" } };
  if ("parts" in format) return format.parts;
  return "tags" in format ? format.tags : format;
}

/** What a format of parts has besides. */
function rest(format: OutputFormat | undefined): Pick<PartsFormat, "rules" | "spelled"> {
  if (format === undefined || format === "json" || !("parts" in format)) return {};
  const { rules, spelled } = format;
  return { ...(rules && { rules }), ...(spelled && { spelled }) };
}
