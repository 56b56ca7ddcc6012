/** Forms of texts as people ask for them, each with texts that have it: what bench/grammar.ts walks through. */
import type { OutputFormat } from "../../lib/index.js";
import { Dice } from "./dice.js";

export interface GrammarCase {
  readonly name: string;
  readonly format: Extract<
    OutputFormat,
    { readonly schema: unknown } | { readonly regex: unknown } | { readonly choice: unknown }
  >;
  /** A text that has the form. */
  readonly text: (dice: Dice) => string;
}

const words =
  "the quick brown fox jumps over a lazy dog while seven small birds sing by the river Elbe in Ünna 漢字".split(
    " ",
  );
const sentence = (dice: Dice, count: number): string =>
  Array.from({ length: count }, () => words[dice.integer(0, words.length - 1)]!).join(" ");
const integer = { type: "integer" };
const string = { type: "string" };
const object = (properties: Readonly<Record<string, object>>): object => {
  return { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
};

function anyValue(dice: Dice, depth: number): unknown {
  const kind = dice.integer(0, depth > 3 ? 4 : 6 - 1);
  if (kind === 0) return sentence(dice, 1 + dice.integer(0, 20 - 1));
  if (kind === 1) return dice.integer(0, 1_000_000 - 1) / 100;
  if (kind === 2) return dice.chance(0.5);
  if (kind === 3) return null;
  if (kind === 4) return Array.from({ length: dice.integer(0, 5 - 1) }, () => anyValue(dice, depth + 1));
  return Object.fromEntries(
    Array.from({ length: 1 + dice.integer(0, 5 - 1) }, () => [sentence(dice, 1), anyValue(dice, depth + 1)]),
  );
}

interface Tree {
  readonly value: string;
  readonly children: readonly Tree[];
}

function tree(dice: Dice, depth: number): Tree {
  const children = depth > 3 ? 0 : dice.integer(0, 4 - 1);
  return {
    value: sentence(dice, 2),
    children: Array.from({ length: children }, () => tree(dice, depth + 1)),
  };
}

const fields = Array.from(
  { length: 60 },
  (_, i) => [`field_${i}`, [string, integer, { type: "boolean" }][i % 3]!] as const,
);

export const grammarCases: readonly GrammarCase[] = [
  {
    name: "any object of JSON",
    format: { schema: { type: "object" } },
    text: (dice) => JSON.stringify({ a: anyValue(dice, 0), b: anyValue(dice, 0) }),
  },
  {
    name: "a tool's arguments",
    format: {
      schema: object({
        location: string,
        unit: { enum: ["celsius", "fahrenheit"] },
        days: { ...integer, minimum: 1, maximum: 14 },
      }),
    },
    text: (dice) =>
      JSON.stringify({ location: sentence(dice, 3), unit: "celsius", days: 1 + dice.integer(0, 14 - 1) }),
  },
  {
    name: "a recursive tree",
    format: { schema: object({ value: string, children: { type: "array", items: { $ref: "#" } } }) },
    text: (dice) => JSON.stringify(tree(dice, 0)),
  },
  {
    name: "60 properties",
    format: { schema: object(Object.fromEntries(fields)) },
    text: (dice) =>
      JSON.stringify(
        Object.fromEntries(
          fields.map(([name], i) => [
            name,
            [sentence(dice, 3), dice.integer(0, 1000 - 1), dice.chance(0.5)][i % 3],
          ]),
        ),
      ),
  },
  {
    name: "pattern, email, maxLength",
    format: {
      schema: object({
        code: { ...string, pattern: "^[A-Z]{3}-\\d{4}$" },
        email: { ...string, format: "email" },
        note: { ...string, maxLength: 64 },
      }),
    },
    text: (dice) =>
      JSON.stringify({
        code: `ABC-${1000 + dice.integer(0, 9000 - 1)}`,
        email: `fox.${dice.integer(0, 999 - 1)}@example.org`,
        note: sentence(dice, 6),
      }),
  },
  {
    name: "a regular expression",
    format: { regex: "(?:[A-Z][a-z]+ ){1,8}was born on \\d{4}-\\d\\d-\\d\\d\\." },
    text: (dice) =>
      `Wren Fox ${dice.chance(0.5) ? "Junior " : ""}was born on ${1900 + dice.integer(0, 100 - 1)}-0${1 + dice.integer(0, 9 - 1)}-11.`,
  },
  {
    name: "one of 1000 texts",
    format: { choice: Array.from({ length: 1000 }, (_, i) => `${sentence(new Dice(i), 6)} ${i}`) },
    text: (dice) => {
      const i = dice.integer(0, 1000 - 1);
      return `${sentence(new Dice(i), 6)} ${i}`;
    },
  },
];
