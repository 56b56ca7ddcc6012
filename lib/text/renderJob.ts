/** Renders one chat. Runs on any thread: everything it needs is in the job, which can be copied between threads. */
import { describeError } from "../checkpoint/json.js";
import { globalNames } from "./jinja/globals.js";
import { render } from "./jinja/interpreter.js";
import { valueOf } from "./jinja/json.js";
import type { Paint } from "./jinja/paint.js";
import { type Block, parseTemplate, variablesAssigned, variablesRead } from "./jinja/syntax.js";
import { isStackOverflow, TemplateError, type Value } from "./jinja/values.js";
import { type Marking, PlainText } from "./plainText.js";

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
  /** A character that belongs to no message: `EncodeOptions.marker`. Undefined if everybody may write control tokens. */
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
    if (job.controlTexts.length === 0) return { text: render(body, plainValues(job)) };
    const rules = rulesOf(job.controlTexts);
    const marking = rules.markingFor([job.source, job.variables]);
    return { text: renderMarked(job, body, rules, marking), marker: marking.marker };
  } catch (cause) {
    return { error: describe(cause).slice(0, maxErrorLength) };
  }
}

function renderMarked(job: RenderJob, body: Block, rules: PlainText, marking: Marking): string {
  const { paint } = marking;
  try {
    return rules.finish(render(body, paintedValues(job, paint), { paint }), marking);
  } catch (cause) {
    if (cause instanceof TemplateError) throw new TemplateError(paint.plain(cause.message), { cause });
    throw cause;
  }
}

function plainValues({ variables }: RenderJob): ReadonlyMap<string, Value> {
  return new Map(Object.entries(variables).map(([name, value]) => [name, valueOf(value, name)]));
}

/** Roles whose texts may hold control tokens: the application's own, and what the model wrote. */
const trustedRoles: ReadonlySet<unknown> = new Set(["system", "developer", "assistant"]);

let plainText: { readonly key: string; readonly rules: PlainText } | undefined;

function rulesOf(controlTexts: readonly string[]): PlainText {
  const key = controlTexts.join("\n");
  if (plainText?.key !== key) plainText = { key, rules: new PlainText(controlTexts) };
  return plainText.rules;
}

/** Values in which everything is painted that somebody else than those roles wrote, the names of tokens aside. */
function paintedValues({ variables }: RenderJob, paint: Paint): ReadonlyMap<string, Value> {
  const change = (text: string): string => paint.paint(text);
  const values = Object.entries(variables).map(([name, value]): [string, Value] => {
    if (name !== "messages") return [name, valueOf(value, name, /_tokens?$/.test(name) ? undefined : change)];
    const messages = (value as readonly { readonly role: string }[]).map((message, i) =>
      valueOf(message, `messages[${i}]`, trustedRoles.has(message.role) ? undefined : change),
    );
    return [name, messages];
  });
  return new Map(values);
}

function describe(cause: unknown): string {
  if (cause instanceof TemplateError) return cause.message;
  return isStackOverflow(cause) ? "it, or what it is given, is nested too deeply" : describeError(cause);
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
