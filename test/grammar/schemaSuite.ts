/**
 * Suites of others (schemaSuite/README.md): what becomes of each of their cases, beside what was noted (schemaSuite/categories.json). A case
 * is a value, which is written with its properties in the order of the schema, and in other orders where that is none of the grammar.
 */
import { readFileSync } from "node:fs";
import { compileSchema } from "../../lib/grammar/schema/compile.js";
import type { Schema } from "../../lib/grammar/schema/schemaAt.js";
import { inOrderOf } from "./schemaOrder.js";
import { TextGrammar, textsOf } from "./schemaMatcher.js";

export const suites = ["draft2020-12", "draft7", "maskbench"] as const;
export type Suite = (typeof suites)[number];

/** A schema, and values that are valid for it or not. */
export interface Group {
  readonly name: string;
  readonly schema: Schema;
  readonly tests: readonly (readonly [description: string, value: unknown, isValid: boolean])[];
}

/**
 * By letter, one for each value: it is accepted exactly if it is valid (a); valid, and not accepted (n); accepted, and not valid (w).
 * Or, of all values, why the schema is refused.
 */
export type Outcome = string;

const folder = new URL("./schemaSuite/", import.meta.url);

export function groupsOf(suite: Suite): readonly Group[] {
  return JSON.parse(readFileSync(new URL(`${suite}.json`, folder), "utf8")) as Group[];
}

export const categoriesFile = new URL("categories.json", folder);

/** By suite and group. */
export type Categories = Readonly<Record<Suite, Readonly<Record<string, Outcome>>>>;

export function readCategories(): Categories {
  return JSON.parse(readFileSync(categoriesFile, "utf8")) as Categories;
}

export function outcomeOf({ schema, tests }: Group): Outcome {
  try {
    using grammar = new TextGrammar(compileSchema(schema));
    const letters = tests.map(([, value, isValid]) => {
      const texts = [JSON.stringify(value), ...textsOf(inOrderOf(schema, value), 12)];
      const accepts = texts.some((text) => grammar.accepts(text));
      return accepts === isValid ? "a" : isValid ? "n" : "w";
    });
    return letters.join("");
  } catch (error) {
    const { message } = error as Error;
    // A schema of nothing is one that no request can be for.
    if (message.includes("matches no text"))
      return tests.map(([, , isValid]) => (isValid ? "n" : "a")).join("");
    return `refused: ${keywordOf(message)}`;
  }
}

/** The keyword that an error names, or what else it says. */
function keywordOf(message: string): string {
  const found = /^schema: (.*?)\/([^/:]+): (.*)$/s.exec(message);
  const name = found ? (found[1]!.endsWith("/patternProperties") ? "patternProperties" : found[2]!) : message;
  return name === "format" ? `format ${/^"[^"]*"/.exec(found![3]!)?.[0] ?? ""}`.trim() : name;
}

/** Each as its name; the second of a name gets a number. */
export function named(groups: readonly Group[]): ReadonlyMap<string, Group> {
  const all = new Map<string, Group>();
  for (const group of groups) {
    let name = group.name;
    for (let i = 2; all.has(name); i++) name = `${group.name} #${i}`;
    all.set(name, group);
  }
  return all;
}

/** Values by what becomes of them. */
export function countsOf(outcomes: Readonly<Record<string, Outcome>>, groups: ReadonlyMap<string, Group>) {
  const counts = { agrees: 0, narrower: 0, wider: 0, refused: 0 };
  for (const [name, outcome] of Object.entries(outcomes)) {
    if (outcome.startsWith("refused")) counts.refused += groups.get(name)!.tests.length;
    else
      for (const letter of outcome)
        counts[letter === "a" ? "agrees" : letter === "n" ? "narrower" : "wider"]++;
  }
  return counts;
}
