/** Renders one chat. Runs on any thread: everything it needs is in the job, which can be copied between threads. */
import { describeError } from "../weights/json.js";
import { globalNames } from "./jinja/globals.js";
import { render } from "./jinja/interpreter.js";
import { valueOf } from "./jinja/json.js";
import { type Block, parseTemplate, variablesAssigned, variablesRead } from "./jinja/syntax.js";
import { TemplateError } from "./jinja/values.js";

export interface RenderJob {
  /** Jinja text. */
  readonly source: string;
  readonly variables: Readonly<Record<string, unknown>>;
  /** Names of variables that the caller gave for this chat, and that the template therefore has to read. */
  readonly given: readonly string[];
}

export type RenderedChat = { readonly text: string } | { readonly error: string };

interface Parsed {
  readonly body: Block;
  readonly reads: ReadonlySet<string>;
}

const parsed = new Map<string, Parsed>();
/** Templates that stay parsed; a process uses few. */
const maxParsed = 8;
const maxErrorLength = 1_000;

/** Never throws: what a template does wrong is part of its result. */
export function renderChat({ source, variables, given }: RenderJob): RenderedChat {
  try {
    const { body, reads } = parse(source);
    requireRead(given, reads, body);
    const values = Object.entries(variables).filter(([, value]) => value !== undefined);
    return { text: render(body, new Map(values.map(([name, value]) => [name, valueOf(value, name)]))) };
  } catch (cause) {
    return { error: describe(cause).slice(0, maxErrorLength) };
  }
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
