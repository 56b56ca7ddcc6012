/** The options of commands that load a model: one row each, for the parser, for `LLM.load`, and for errors that name an option. */
import type { Option } from "commander";
import type { LLMOptions } from "../lib/index.js";
import { bytes, option, whole } from "./optionValues.js";
import { sampleRows } from "./sampleOptions.js";

export interface OptionRow {
  readonly option: Option;
  /** Of the library. */
  readonly key: string;
}

/** Of a command that answers many at once. */
export const sequencesRow: OptionRow = {
  option: option("--max-sequences <n>", "answers that a model works at together, default: 32", whole),
  key: "maxSequences",
};

const rows = {
  revision: option("--revision <name>", "branch, tag or commit of a hub id"),
  device: option("--device <name>", 'auto, cpu, cuda or cuda:1; default: a GPU, if there is one ("auto")'),
  threads: option("--threads <n>", "of the CPU; default: one for each physical core", whole),
  quantize: option(
    "--quantize <format>",
    "int4, int8 or fp8: matrices of floats become codes as they are read",
  ),
  dtype: option("--dtype <name>", "of activations: f32, bf16 or f16; default: what suits model and device"),
  activations: option("--activations <kind>", "what products with codes make of them: int8 or float"),
  contextLength: option("--context <tokens>", "longest context, such as 8192 or 8k", whole),
  kvDtype: option("--kv-dtype <name>", "of keys and values: f32, bf16, f16, int8 or fp8"),
  kvCacheBytes: option("--kv-cache <size>", "memory for keys and values, such as 2GB", bytes),
} satisfies { readonly [K in keyof LLMOptions]?: Option };

type LoadKey = keyof typeof rows;

const loadRows: readonly OptionRow[] = (Object.keys(rows) as LoadKey[]).map((key) => ({
  option: rows[key],
  key,
}));

export const loadFlags: readonly Option[] = loadRows.map((row) => row.option);

/** Some of them. */
export function someLoadFlags(...keys: readonly LoadKey[]): readonly Option[] {
  return keys.map((key) => rows[key]);
}

/** What `LLM.load` is given. @param parsed by the parser */
export function loadOptionsOf(parsed: Readonly<Record<string, unknown>>): Pick<LLMOptions, LoadKey> {
  return valuesOf(loadRows, parsed);
}

/** What was given, by the names of the library. */
export function valuesOf(table: readonly OptionRow[], parsed: Readonly<Record<string, unknown>>): object {
  const entries = table.flatMap(({ option: of, key }) => {
    const value = parsed[of.attributeName()];
    return value === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries(entries);
}

/** "--top-p" of "topP" */
export function flagOfLibraryName(name: string): string | undefined {
  return [...loadRows, sequencesRow, ...sampleRows].find(({ key }) => key === name)?.option.long ?? undefined;
}
