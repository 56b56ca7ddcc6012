/**
 * The special tokens that tokenizer_config.json and special_tokens_map.json name. The ids they have are known to the
 * tokenizer only.
 */
import { join } from "node:path";
import { isObject, type JsonObject, show } from "../checkpoint/json.js";
import { warn } from "../warning.js";
import { parseJsonObject, readTextFile, type TextErrorCode } from "./textFile.js";

export interface SpecialTokenNames {
  /** Token text by field name, such as bos_token; fields that are null or absent are left out. */
  readonly byName: Readonly<Record<string, string>>;
  /** These and those of `additional_special_tokens` and `extra_special_tokens`: by text, with the fields that say more. */
  readonly all: ReadonlyMap<string, JsonObject>;
  /** `eos_token` of either file: one, or two where the files disagree. */
  readonly eos: readonly string[];
}

/** Contents of the files beside tokenizer.json; empty where a file is missing. */
export interface TokenizerConfig {
  /** tokenizer_config.json */
  readonly config: JsonObject;
  /** special_tokens_map.json */
  readonly specialTokensMap: JsonObject;
  /** added_tokens.json: ids by token. */
  readonly addedTokens: JsonObject;
}

/** tokenizer_config.json reaches a few MB with many added tokens. */
const maxConfigBytes = 64_000_000;

const fields = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
const lists = ["additional_special_tokens", "extra_special_tokens"];

/**
 * @param folder path of the checkpoint folder
 * @param code of the error
 * @throws TextError `code` naming the file that cannot be read
 */
export async function loadTokenizerConfig(folder: string, code: TextErrorCode): Promise<TokenizerConfig> {
  const read = async (name: string): Promise<JsonObject> => {
    const file = join(folder, name);
    const text = await readTextFile(file, maxConfigBytes, code);
    return text === undefined ? {} : parseJsonObject(text, file, code);
  };
  return {
    config: await read("tokenizer_config.json"),
    specialTokensMap: await read("special_tokens_map.json"),
    addedTokens: await read("added_tokens.json"),
  };
}

/**
 * Reads the names leniently: Hugging Face writes a token as its text or as an object with `content`. Where both files name
 * a token, the map wins unless tokenizer_config.json has `added_tokens_decoder`, as in transformers: it is then the newer.
 */
export function readSpecialTokens({
  config,
  specialTokensMap,
}: Omit<TokenizerConfig, "addedTokens">): SpecialTokenNames {
  const files = isObject(config["added_tokens_decoder"])
    ? [config, specialTokensMap]
    : [specialTokensMap, config];
  const named = (field: string) => files.map((file) => file[field]).filter((token) => tokenText(token));
  const listed = (field: string) =>
    files.flatMap((file) => {
      const tokens = file[field];
      return Array.isArray(tokens) || isObject(tokens) ? (Object.values(tokens) as readonly unknown[]) : [];
    });
  const all = new Map<string, JsonObject>();
  for (const token of [...fields.flatMap(named), ...lists.flatMap(listed)]) {
    const text = tokenText(token);
    if (text !== undefined && !all.has(text)) all.set(text, isObject(token) ? token : {});
  }
  const first = fields.map((field) => [field, tokenText(named(field)[0])] as const);
  const byName = Object.fromEntries(
    first.filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  const eos = named("eos_token").map(tokenText);
  return { byName, all, eos: [...new Set(eos.filter((text) => text !== undefined))] };
}

/** Warns of special tokens of another form, a list in place of one token say: they count as absent. */
export function warnOfOtherForms(folder: string, { config, specialTokensMap }: TokenizerConfig): void {
  const isToken = (value: unknown): boolean =>
    typeof (isObject(value) ? value["content"] : value) === "string";
  const isList = (value: unknown): boolean =>
    typeof value === "object" && value !== null && Object.values(value).every(isToken);
  const report = (name: string, json: JsonObject, field: string, expected: string): void => {
    const said = `${join(folder, name)}: ${field}: expected ${expected}, got ${show(json[field])}`;
    warn("WARN_BAD_DEFAULT", `${said}: what is no token counts as absent`);
  };
  for (const [name, json] of Object.entries({
    "tokenizer_config.json": config,
    "special_tokens_map.json": specialTokensMap,
  })) {
    const isGiven = (field: string): boolean => (json[field] ?? null) !== null;
    for (const field of fields.filter((one) => isGiven(one) && !isToken(json[one])))
      report(name, json, field, "one token: a text, or an object with its content");
    for (const field of lists.filter((one) => isGiven(one) && !isList(json[one])))
      report(name, json, field, "a list of tokens");
  }
}

/** A token that is not empty. */
function tokenText(value: unknown): string | undefined {
  const text = isObject(value) ? value["content"] : value;
  return typeof text === "string" && text !== "" ? text : undefined;
}
