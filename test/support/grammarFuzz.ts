/** Mutated schemas, expressions, grammars and programs, and what becomes of each: an error of its own kind, or masks that hold what they say. */
import { ArgumentRangeError, ArgumentTypeError } from "../../lib/errors.js";
import { checkFormat, writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, type GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import type { WrittenGrammar } from "../../lib/grammar/syntax/rules.js";
import { testVocabulary } from "./grammarVocabulary.js";
import type { Random } from "./random.js";

const regexes = [
  ...[
    "[a-c]{2,3}",
    "(?:ab|a)*c?",
    "\\p{Lu}\\p{Ll}*",
    "^[^a]{1,3}$",
    ".{0,4}é+",
    "(?:a|b)*a(?:a|b){9}",
    "\\d{4}-\\d\\d-\\d\\d",
  ],
  ...[
    "(?:[^]{0,9},?)+",
    "(?<year>\\d+)|[\\w.-]+@[a-z]+\\.[a-z]{2,}",
    "(?:a?){9}",
    "[\\u{1F600}-\\u{1F64F}]|是",
    "((((a)b)*c)+d)?",
  ],
];
const grammars = [
  'root ::= "{" ws (pair ("," ws pair)*)? "}"\npair ::= [a-z]+ ":" ws value\nvalue ::= root | [0-9]+ | "\\"" [^"]* "\\""\nws ::= ([ \\t\\n] ws)?',
  'root ::= root root | "a" | ""\n',
  'root ::= "(" root{0,3} ")" | . # any\nother ::= [^\\x00-\\x1F] {2}',
  'start: sum\n?sum: [sum "+"] one -> add\none: NAME~1..2 | "(" sum ")" | "x".."z"\nNAME: /[a-z]+/i\n%ignore " "\n',
  '%import common (INT, WS)\nstart: "if"i INT? (start | /[^]{1,5}/)*\n%ignore WS',
];
const schemas: readonly unknown[] = [
  {
    type: "object",
    properties: { a: { type: "integer", minimum: -3, maximum: 40 }, b: { enum: ["x", 1, null] } },
    required: ["a"],
  },
  { $defs: { t: { type: "array", items: { $ref: "#/$defs/t" }, maxItems: 3 } }, $ref: "#/$defs/t" },
  { anyOf: [{ type: "string", maxLength: 5, pattern: "^a+" }, { type: "number" }, { const: { a: [1] } }] },
  {
    allOf: [
      { type: "object", properties: { a: true } },
      { properties: { b: { type: "string", format: "date" } } },
    ],
    additionalProperties: false,
  },
  {
    type: "array",
    prefixItems: [{ type: "boolean" }],
    items: { type: ["null", "string"], minLength: 2 },
    minItems: 1,
  },
];
const pieces = {
  regex: [
    "(",
    ")",
    "(?:",
    "[",
    "]",
    "[^",
    "*",
    "+",
    "?",
    "{1000}",
    "{0,5000}",
    "{2}",
    "|",
    "^",
    "$",
    "\\",
    "\\p{L}",
    "\\1",
    "(?=",
    ".",
    "[^]",
    "é",
    "\\b",
    "a",
  ],
  grammar: [
    "(",
    ")",
    "[",
    "]",
    "*",
    "+",
    "?",
    "{1000}",
    "{0,99999}",
    "~2..3",
    "|",
    "::=",
    ":",
    '"',
    "/",
    "\n",
    "root",
    "start",
    "%ignore",
    "\\",
    "#",
    "//",
    "..",
    "-",
    "é",
    "<a>",
  ],
  json: [
    null,
    true,
    false,
    0,
    -1,
    2.5,
    1e9,
    2 ** 53,
    1e308,
    "",
    "a",
    "(a+)+$",
    "^[a-z]{0,99}$",
    "object",
    "#",
    "#/$defs/t",
    {},
    [],
    ["a"],
    { type: "string" },
    { $ref: "#" },
  ],
  keys: [
    "type",
    "not",
    "anyOf",
    "oneOf",
    "allOf",
    "items",
    "maxItems",
    "minItems",
    "maxLength",
    "minLength",
    "pattern",
    "format",
    "const",
    "enum",
    "$ref",
    "properties",
    "required",
    "x",
  ],
};
const words = [0, 1, -1, 2, 3, 7, 255, 256, 1000, 65_536, 2 ** 22, 2 ** 31 - 1, -(2 ** 31)];

type Kind = "regex" | "grammar" | "schema" | "program";
export interface FuzzRun {
  readonly kind: Kind;
  readonly outcome: "refused" | "too complex" | "masks";
  readonly compileMs: number;
  readonly stepMs: number;
  readonly input: unknown;
}

const pick = <T>(random: Random, list: readonly T[]): T => list[random.integer(0, list.length)]!;

/** Cut, doubled, moved, wrapped, or with something new in it. */
function mutateText(
  text: string,
  random: Random,
  list: readonly string[],
  others: readonly string[],
): string {
  const at = random.integer(0, text.length + 1);
  const to = Math.min(text.length, at + random.integer(0, 9));
  const [head, middle, tail] = [text.slice(0, at), text.slice(at, to), text.slice(to)];
  switch (random.integer(0, 6)) {
    case 0:
      return head + tail;
    case 1:
      return head + middle + middle + tail;
    case 2:
      return `${head}(${middle})${pick(random, list)}${tail}`;
    case 3:
      return head + pick(random, others).slice(at, at + random.integer(1, 20)) + tail;
    case 4: {
      const levels = random.integer(1, 60);
      return `${head}${"(".repeat(levels)}${middle}${`)${pick(random, ["", "*", "?", "{0,9}"])}`.repeat(levels)}${tail}`;
    }
    default:
      return head + pick(random, list) + middle + tail;
  }
}

function mutateSchema(value: unknown, random: Random): unknown {
  const chance = random.uniform();
  if (typeof value !== "object" || value === null || chance < 0.04)
    return structuredClone(pick(random, pieces.json));
  if (chance < 0.14)
    return {
      [pick(random, ["anyOf", "oneOf", "allOf", "not", "items"])]: [value, pick(random, pieces.json)],
    };
  if (Array.isArray(value)) {
    if (value.length === 0 || chance < 0.3) return [...(value as unknown[]), pick(random, pieces.json)];
    const at = random.integer(0, value.length);
    return (value as unknown[]).map((one, i) => (i === at ? mutateSchema(one, random) : one));
  }
  const entries = Object.entries(value);
  if (entries.length === 0 || chance < 0.3)
    return { ...value, [pick(random, pieces.keys)]: pick(random, pieces.json) };
  const at = random.integer(0, entries.length);
  if (chance < 0.4) return Object.fromEntries(entries.filter((_, i) => i !== at));
  return Object.fromEntries(
    entries.map(([key, one], i) => [key, i === at ? mutateSchema(one, random) : one]),
  );
}

function mutateProgram(written: WrittenGrammar, random: Random): WrittenGrammar {
  const changed = (numbers: Int32Array): Int32Array => {
    const copy = numbers.slice(0, random.uniform() < 0.1 ? random.integer(0, numbers.length + 1) : undefined);
    for (let n = random.integer(0, 2); n > 0 && copy.length > 0; n--)
      copy[random.integer(0, copy.length)] =
        random.uniform() < 0.6 ? pick(random, words) : random.integer(-4, 12);
    return copy;
  };
  const { program, terminals, rules, start } = written;
  return {
    ...{ program: changed(program), terminals: changed(terminals), rules: changed(rules) },
    start: random.uniform() < 0.05 ? pick(random, words) : start,
  };
}

const times = (count: number, work: () => void): void => {
  for (let n = 0; n < count; n++) work();
};

function inputOf(kind: Kind, random: Random): unknown {
  const rounds = random.integer(0, 3);
  if (kind === "schema") {
    let schema = pick(random, schemas);
    times(rounds, () => void (schema = mutateSchema(schema, random)));
    return { schema };
  }
  const [texts, list] = kind === "regex" ? [regexes, pieces.regex] : [grammars, pieces.grammar];
  let text = pick(random, texts);
  times(rounds, () => void (text = mutateText(text, random, list, texts)));
  return { [kind]: text };
}

/** A program of the addon's with numbers in it that are others, mostly. */
export function mutatedProgram(random: Random): WrittenGrammar {
  const formats = [...regexes.map((regex) => ({ regex })), ...grammars.map((grammar) => ({ grammar }))];
  return mutateProgram(writeFormat(JSON.stringify(pick(random, formats))), random);
}

function written(kind: Kind, random: Random): { readonly input: unknown; write: () => WrittenGrammar } {
  if (kind !== "program") {
    const input = inputOf(kind, random);
    return { input, write: () => writeFormat(checkFormat(input)) };
  }
  const program = mutatedProgram(random);
  return {
    input: Object.fromEntries(
      Object.entries(program).map(([name, one]) => [
        name,
        typeof one === "number" ? one : [...(one as Int32Array)],
      ]),
    ),
    write: () => program,
  };
}

/** A few tokens, some taken back. @throws if a mask and what is accepted differ */
function walk(
  matcher: Matcher,
  vocabulary: GrammarVocabulary,
  random: Random,
  told: (ms: number) => void,
): void {
  const mask = new Int32Array(vocabulary.words);
  for (let step = 0; step < 5; step++) {
    const begin = performance.now();
    const any = matcher.fillMask(mask);
    told(performance.now() - begin);
    if (matcher.forcedBytes(3).length > 0 && matcher.isAccepting)
      throw new Error("forced bytes where the text may end");
    const allowed = testVocabulary.flatMap((_, id) => ((mask[id >> 5]! >>> (id & 31)) & 1 ? [id] : []));
    if (any !== allowed.length > 0) throw new Error("a mask that says what it has not");
    if (!any) return;
    const token = pick(random, allowed);
    if (!matcher.accept(token)) throw new Error(`token ${token} is in the mask and not accepted`);
    if (random.uniform() < 0.2) matcher.rollback(1);
  }
}

/** @throws what is no error of its own kind: a bug */
export function fuzzGrammar(vocabulary: GrammarVocabulary, random: Random): FuzzRun {
  const kind = pick(random, ["regex", "grammar", "schema", "program"] as const);
  const { input, write } = written(kind, random);
  const begin = performance.now();
  let compileMs = 0;
  let stepMs = 0;
  const done = (outcome: FuzzRun["outcome"]): FuzzRun => ({ kind, outcome, compileMs, stepMs, input });
  try {
    using grammar = new CompiledGrammar(write());
    compileMs = performance.now() - begin;
    using matcher = new Matcher(grammar, vocabulary);
    walk(matcher, vocabulary, random, (ms) => (stepMs = Math.max(stepMs, ms)));
    return done("masks");
  } catch (error) {
    const isTyped = [ArgumentRangeError, ArgumentTypeError].some((type) => error instanceof type);
    if (!(error instanceof Error) || !isTyped) throw new Error(JSON.stringify(input), { cause: error });
    if (compileMs === 0) compileMs = performance.now() - begin;
    return done(/too complex/.test(error.message) ? "too complex" : "refused");
  }
}
