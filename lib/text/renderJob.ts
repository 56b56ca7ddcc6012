/** Renders one chat. Runs on any thread: everything it needs is in the job, which can be copied between threads. */
import { describeError } from "../weights/json.js";
import { globalNames } from "./jinja/globals.js";
import { render } from "./jinja/interpreter.js";
import { valueOf } from "./jinja/json.js";
import { type Block, parseTemplate, variablesAssigned, variablesRead } from "./jinja/syntax.js";
import { TemplateError, type Value } from "./jinja/values.js";
import { PlainText, unusedMarker } from "./plainText.js";

export interface RenderJob {
  /** Jinja text. */
  readonly source: string;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Names of variables that the caller gave for this chat, and that the template therefore has to read. */
  readonly given: readonly string[];
  /** Texts of tokens that only the template, the system and the assistant may write (plainText.ts); may be empty. */
  readonly controlTexts: readonly string[];
}

export type RenderedChat = RenderedText | { readonly error: string };

export interface RenderedText {
  readonly text: string;
  /** A character in the text that belongs to no message: `EncodeOptions.marker`. Undefined if there is none. */
  readonly marker?: string;
}

interface Parsed {
  readonly body: Block;
  readonly reads: ReadonlySet<string>;
}

const parsed = new Map<string, Parsed>();
/** Templates that stay parsed; a process uses few. */
const maxParsed = 8;
const maxErrorLength = 1_000;

/** Never throws: what a template does wrong is part of its result. */
export function renderChat(job: RenderJob): RenderedChat {
  try {
    const { body, reads } = parse(job.source);
    requireRead(job.given, reads, body);
    const { values, marker } =
      job.controlTexts.length > 0 ? markedValues(job) : { values: plainValues(job), marker: undefined };
    const text = render(body, values, { marker });
    return marker !== undefined && text.includes(marker) ? { text, marker } : { text };
  } catch (cause) {
    return { error: describe(cause).slice(0, maxErrorLength) };
  }
}

function plainValues({ variables }: RenderJob): ReadonlyMap<string, Value> {
  return new Map(Object.entries(variables).map(([name, value]) => [name, valueOf(value, name)]));
}

/** Roles whose texts may hold control tokens: the application's own, and what the model wrote. */
const trustedRoles: ReadonlySet<unknown> = new Set(["system", "developer", "assistant"]);

let plainText: { readonly key: string; readonly rules: PlainText } | undefined;

/** Values with a marker in every control token that is spelled by somebody else than those roles, the names of tokens aside. */
function markedValues({ source, variables, controlTexts }: RenderJob): {
  readonly values: ReadonlyMap<string, Value>;
  readonly marker: string;
} {
  const key = controlTexts.join("\n");
  if (plainText?.key !== key) plainText = { key, rules: new PlainText(controlTexts) };
  const { rules } = plainText;
  const marker = unusedMarker([source, variables]);
  const mark = (text: string): string => rules.mark(text, marker);
  const values = Object.entries(variables).map(([name, value]): [string, Value] => {
    if (name !== "messages") return [name, valueOf(value, name, /_tokens?$/.test(name) ? undefined : mark)];
    const messages = (value as readonly { readonly role: string }[]).map((message, i) =>
      valueOf(message, `messages[${i}]`, trustedRoles.has(message.role) ? undefined : mark),
    );
    return [name, messages];
  });
  return { values: new Map(values), marker };
}

function describe(cause: unknown): string {
  if (cause instanceof TemplateError) return cause.message;
  return cause instanceof RangeError ? "it, or what it is given, is nested too deeply" : describeError(cause);
}

function parse(source: string): Parsed {
  const known = parsed.get(source);
  if (known) return known;
  const body = parseTemplate(source);
  const result = { body, reads: variablesRead(body) };
  if (parsed.size >= maxParsed) parsed.delete(parsed.keys().next().value!);
  parsed.set(source, result);
  return result;
}

/** What a caller gives and the template never reads would be lost without a word. */
function requireRead(given: readonly string[], reads: ReadonlySet<string>, body: Block): void {
  const ignored = given.filter((name) => !reads.has(name));
  if (ignored.length === 0) return;
  const own = variablesAssigned(body);
  const standard = ["messages", "tools", "documents", "add_generation_prompt"];
  const known = [...reads].filter(
    (name) => standard.includes(name) || !(own.has(name) || globalNames.has(name)),
  );
  throw new TemplateError(
    `it does not read ${ignored.join(", ")}; it reads ${known.sort().join(", ") || "nothing"}`,
  );
}
