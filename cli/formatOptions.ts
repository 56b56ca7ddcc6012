/** The options that say what form a text has. */
import { readFile } from "node:fs/promises";
import type { Option } from "commander";
import type { GenerateOptions, OutputFormat } from "../lib/index.js";
import { UsageError } from "./failure.js";
import { collect, option } from "./optionValues.js";

export const formatFlags: readonly Option[] = [
  option("--schema <file>", "the answer is JSON that is valid for the JSON Schema in a file"),
  option("--json-object", "the answer is an object of JSON"),
  option("--regex <pattern>", "the answer is matched as a whole by a regular expression of JavaScript"),
  option("--grammar <file>", "the answer is derived from a grammar in a file, llama.cpp's GBNF or Lark's"),
  option<string[]>("--choice <text>", "the answer is one of these texts; comes several times", collect),
];

interface FormatOptions {
  readonly schema?: string;
  readonly jsonObject?: boolean;
  readonly regex?: string;
  readonly grammar?: string;
  readonly choice?: readonly string[];
}

/** What `generate` is given. @throws UsageError for two forms, and for a file that is no schema */
export async function formatOf(parsed: FormatOptions): Promise<Pick<GenerateOptions, "format">> {
  const given = readers.flatMap(({ flag, of }) => {
    const read = of(parsed);
    return read ? [{ flag, read }] : [];
  });
  const [first, second] = given;
  if (second) throw new UsageError(`${first!.flag} and ${second.flag} are two forms: expected one`);
  return first ? { format: await first.read() } : {};
}

interface FormatReader {
  readonly flag: string;
  /** Undefined: the option is not given. */
  readonly of: (parsed: FormatOptions) => (() => OutputFormat | Promise<OutputFormat>) | undefined;
}

const readers: readonly FormatReader[] = [
  {
    flag: "--schema",
    of: ({ schema }) =>
      schema === undefined ? undefined : async () => ({ schema: await readSchema(schema) }),
  },
  { flag: "--json-object", of: ({ jsonObject }) => (jsonObject ? () => "json" : undefined) },
  { flag: "--regex", of: ({ regex }) => (regex === undefined ? undefined : () => ({ regex })) },
  {
    flag: "--grammar",
    of: ({ grammar }) =>
      grammar === undefined ? undefined : async () => ({ grammar: await readText("--grammar", grammar) }),
  },
  { flag: "--choice", of: ({ choice }) => (choice === undefined ? undefined : () => ({ choice })) },
];

async function readSchema(file: string): Promise<object | boolean> {
  const text = await readText("--schema", file);
  try {
    return JSON.parse(text) as object | boolean;
  } catch (error) {
    throw new UsageError(`--schema: ${file}: ${(error as Error).message}`);
  }
}

async function readText(flag: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new UsageError(`${flag}: ${file}: ${(error as Error).message}`);
  }
}
