/**
 * Whether a text in parts is one, before anything is made of it: each part by a table of what it may have. Errors begin with the place, such
 * as `format.parts.sequence[0].min`.
 */
import { checkNames, checkObject, describe } from "../../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../../errors.js";
import { requirePlain } from "../schema/plainData.js";
import { maxCount } from "../syntax/expressions.js";

/** @throws ArgumentTypeError, ArgumentRangeError that begins with `at` */
type Check = (value: unknown, at: string) => void;
/** By name; those that may be left out are `optional`. */
type Fields = Readonly<Record<string, Check>>;

const maxWhitespace = 100;
/** Parts within parts: each is a call on the stack, here and where they are written. */
const maxDepth = 500;

const fail = (at: string, expected: string, value: unknown): never => {
  throw new ArgumentTypeError(`${at}: expected ${expected}, got ${describe(value)}`);
};

const optional =
  (check: Check): Check =>
  (value, at) => {
    if (value !== undefined) check(value, at);
  };

/** Any text, but no half of a pair of surrogates, which has no bytes. */
const text: Check = (value, at) => {
  if (typeof value !== "string") return fail(at, "a string", value);
  if (/\p{Surrogate}/u.test(value))
    throw new ArgumentRangeError(`${at}: expected well-formed Unicode, got a surrogate by itself`);
};
const someText: Check = (value, at) => {
  if (value === "") fail(at, "a text that is not empty", value);
  text(value, at);
};
const boolean: Check = (value, at) => {
  if (typeof value !== "boolean") fail(at, "a boolean", value);
};

function integer(least: number, most: number): Check {
  return (value, at) => {
    if (typeof value !== "number") return fail(at, "a number", value);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new ArgumentRangeError(`${at}: expected an integer from ${least} to ${most}, got ${value}`);
  };
}

function listOf(check: Check, { least = 0, most = Infinity, what = "a list" } = {}): Check {
  return (value, at) => {
    if (!Array.isArray(value) || value.length < least || value.length > most) return fail(at, what, value);
    for (const [i, one] of value.entries()) check(one, `${at}[${i}]`);
  };
}

const oneOf =
  (...words: readonly string[]): Check =>
  (value, at) => {
    if (!words.includes(value as string))
      fail(at, words.map((word) => JSON.stringify(word)).join(" or "), value);
  };

const recordOf =
  (check: Check): Check =>
  (value, at) => {
    checkObject(at, value);
    for (const [name, one] of Object.entries(value)) check(one, `${at}.${name}`);
  };

function fieldsOf(fields: Fields): Check {
  return (value, at) => {
    checkNames(at, value, Object.keys(fields));
    for (const [name, check] of Object.entries(fields))
      check((value as Readonly<Record<string, unknown>>)[name], `${at}.${name}`);
  };
}

const schema: Check = (value, at) => {
  if (typeof value !== "boolean" && (typeof value !== "object" || value === null || Array.isArray(value)))
    fail(at, "an object or a boolean", value);
};
const pattern: Check = (value, at) => {
  text(value, at);
  try {
    new RegExp(value as string, "u");
  } catch (cause) {
    throw new ArgumentRangeError(`${at}: ${(cause as Error).message}`);
  }
};
const texts = listOf(someText, { what: "a list of texts" });

/** Of parts, and of formats by themselves. */
const whole = {
  schema: { schema, whitespace: optional(integer(0, maxWhitespace)) },
  regex: { regex: text },
  choice: { choice: listOf(someText, { least: 1, what: "texts, at least one and none of them empty" }) },
  grammar: { grammar: text },
} satisfies Readonly<Record<string, Fields>>;

/** What a part's rules are named, and how deep it stands. */
class PartChecker {
  readonly #rules: readonly string[];
  readonly #kinds: Readonly<Record<string, Fields>>;
  #depth = 0;

  constructor(rules: readonly string[]) {
    this.#rules = rules;
    const part: Check = (value, at) => this.check(value, at);
    const name = optional(text);
    const parts = (least: number): Check =>
      listOf(part, { least, what: `a list of parts, at least ${least}` });
    this.#kinds = {
      schema: { ...whole.schema, name },
      regex: { ...whole.regex, name },
      choice: whole.choice,
      grammar: { ...whole.grammar, name },
      sequence: { sequence: parts(0) },
      either: { either: parts(1) },
      repeat: {
        repeat: part,
        ...{ min: optional(integer(0, maxCount)), max: optional(integer(0, maxCount)) },
        between: optional(part),
      },
      free: { free: texts, notFirst: optional(text), end: optional(text) },
      members: { ...members, name },
      triggers: this.#tags(part),
      rule: { rule: (value, at) => this.#rule(value, at) },
    };
  }

  check(part: unknown, at: string): void {
    if (typeof part === "string") return text(part, at);
    if (++this.#depth > maxDepth)
      throw new ArgumentRangeError(
        `${at.slice(0, 100)}...: expected at most ${maxDepth} parts within each other`,
      );
    const given = (typeof part === "object" && part !== null ? part : {}) as Readonly<
      Record<string, unknown>
    >;
    const kind = Object.keys(this.#kinds).find((one) => given[one] !== undefined);
    const kinds = Object.keys(this.#kinds).join(", ");
    if (kind === undefined)
      return fail(at, `a part of a text: a string, or an object with one of ${kinds}`, part);
    fieldsOf(this.#kinds[kind]!)(part, at);
    if (kind === "schema" || kind === "members")
      requirePlain(given[kind], (given["name"] as string | undefined) ?? `${at}.${kind}`);
    if (kind === "repeat") requireOrder(given, at);
    if (kind === "triggers") requireTriggered(given as unknown as Triggered, at);
    this.#depth--;
  }

  #tags(part: Check): Fields {
    const tag = fieldsOf({ begin: someText, content: part, end: text });
    return {
      triggers: listOf(someText, { least: 1, what: "a list of texts, at least one" }),
      tags: listOf(tag, { least: 1, what: "a list of tags, at least one" }),
      ...{ atLeastOne: optional(boolean), stopAfterFirst: optional(boolean) },
    };
  }

  #rule(value: unknown, at: string): void {
    const known = this.#rules.join(", ") || "none";
    if (!this.#rules.includes(value as string)) fail(at, `the name of one of rules (${known})`, value);
  }
}

const members: Fields = {
  members: schema,
  around: listOf(text, { least: 3, most: 3, what: "three texts" }),
  flagged: optional(listOf(text, { least: 2, most: 2, what: "two texts" })),
  between: optional(text),
  values: oneOf("raw", "python"),
  types: optional(
    recordOf((value, at) => {
      if (value !== null) texts(value, at);
    }),
  ),
  untyped: optional(oneOf("string", "json")),
  never: optional(texts),
  names: optional(pattern),
};

function requireOrder(
  { min = 0, max = Infinity }: { readonly min?: unknown; readonly max?: unknown },
  at: string,
): void {
  if ((min as number) > (max as number))
    throw new ArgumentRangeError(`${at}.min: expected no more than max (${String(max)}), got ${String(min)}`);
}

interface Triggered {
  readonly triggers: readonly string[];
  readonly tags: readonly { readonly begin: string }[];
}

function requireTriggered({ triggers, tags }: Triggered, at: string): void {
  for (const [i, { begin }] of tags.entries()) {
    if (triggers.some((trigger) => begin.startsWith(trigger))) continue;
    const expected = `a text that begins with one of triggers (${triggers.join(", ")})`;
    throw new ArgumentRangeError(`${at}.tags[${i}].begin: expected ${expected}, got ${describe(begin)}`);
  }
}

const thoughts: Fields = {
  open: someText,
  close: someText,
  never: optional(texts),
  inPrompt: optional(boolean),
};

/** @param format with `parts` @throws ArgumentTypeError, ArgumentRangeError */
export function checkParts(format: Readonly<Record<string, unknown>>): void {
  const { rules, spelled, parts } = format;
  optional((value, at) => checkObject(at, value))(rules, "format.rules");
  const checker = new PartChecker(Object.keys(rules ?? {}));
  const part: Check = (value, at) => checker.check(value, at);
  part(parts, "format.parts");
  optional(recordOf(part))(rules, "format.rules");
  optional(texts)(spelled, "format.spelled");
  optional(fieldsOf(thoughts))(format["thoughts"], "format.thoughts");
}

/** @param format with `tags`, or what a part may be as well @throws ArgumentTypeError, ArgumentRangeError */
export function checkWhole(
  format: Readonly<Record<string, unknown>>,
  kind: keyof typeof whole | "tags",
): void {
  if (kind === "tags") {
    const { tags } = format;
    if (typeof tags !== "object" || tags === null || !("triggers" in tags))
      return fail("format.tags", "an object with triggers and tags", tags);
    return new PartChecker([]).check(tags, "format.tags");
  }
  fieldsOf(whole[kind])(format, "format");
  if (kind === "schema") requirePlain(format[kind], "format.schema");
}
