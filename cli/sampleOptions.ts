/** The options of commands that generate text. */
import { InvalidArgumentError, type Option } from "commander";
import type { ChatOptions, GenerateOptions } from "../lib/index.js";
import { type OptionRow, valuesOf } from "./loadOptions.js";
import { collect, number, option, whole } from "./optionValues.js";

const rows = {
  maxTokens: option("--max-tokens <n>", "most tokens to write; default: to the end of the context", whole),
  temperature: option("--temperature <t>", "0 is greedy; default: what the model's files say", number),
  topP: option("--top-p <share>", "of the most likely tokens that together reach this probability", number),
  topK: option("--top-k <n>", "of the n most likely tokens", whole),
  minP: option("--min-p <share>", "of tokens at least so likely, beside the most likely one", number),
  repetitionPenalty: option("--repetition-penalty <x>", "1 is off", number),
  presencePenalty: option("--presence-penalty <x>", "0 is off", number),
  frequencyPenalty: option("--frequency-penalty <x>", "0 is off", number),
  seed: option("--seed <n>", "the same one gives the same text again", whole),
  stop: option<string[]>("--stop <text>", "ends the text; may come several times", collect),
  minTokens: option("--min-tokens <n>", "no end before so many", whole),
  ignoreEos: option("--ignore-eos", "go on where the model would end"),
} satisfies { readonly [K in keyof GenerateOptions]?: Option };

type SampleKey = keyof typeof rows;

export const sampleRows: readonly OptionRow[] = (Object.keys(rows) as SampleKey[]).map((key) => ({
  option: rows[key],
  key,
}));

export const sampleFlags: readonly Option[] = sampleRows.map((row) => row.option);

/** What `generate` is given. @param parsed by the parser */
export function sampleOptionsOf(parsed: Readonly<Record<string, unknown>>): Pick<GenerateOptions, SampleKey> {
  return valuesOf(sampleRows, parsed);
}

export const templateFlags: readonly Option[] = [
  option("--system <text>", "what the model is told before everything else"),
  option<Record<string, unknown>>(
    "--template-option <name=value>",
    "a variable of the chat template, such as enable_thinking=false; may come several times",
    (text, before = {}) => ({ ...before, ...templateOption(text) }),
  ),
];

function templateOption(text: string): Record<string, unknown> {
  const [, name, value = ""] = /^(\w+)=([\s\S]*)$/.exec(text) ?? [];
  if (name === undefined)
    throw new InvalidArgumentError(
      `expected a name and a value, such as enable_thinking=false, got "${text}"`,
    );
  try {
    return { [name]: JSON.parse(value) as unknown };
  } catch {
    return { [name]: value }; // a text, which need not stand in quotes
  }
}

/** What `chat` is given for the template. */
export function templateOptionsOf(
  parsed: Readonly<Record<string, unknown>>,
): Pick<ChatOptions, "templateOptions"> {
  const given = parsed["templateOption"] as Readonly<Record<string, unknown>> | undefined;
  return given ? { templateOptions: given } : {};
}
