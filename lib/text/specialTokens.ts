/** The special tokens that tokenizer_config.json names. The ids they have are known to the tokenizer only. */
import { isObject, type JsonObject } from "../weights/json.js";

export interface SpecialTokenNames {
  /** Token text by field name, such as bos_token; fields that are null or absent are left out. */
  readonly byName: Readonly<Record<string, string>>;
  /** Texts of `additional_special_tokens`. */
  readonly additional: readonly string[];
}

const fields = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

/** Reads the names leniently: Hugging Face writes a token as its text or as an object with `content`. */
export function readSpecialTokens(config: JsonObject): SpecialTokenNames {
  const byName: Record<string, string> = {};
  for (const field of fields) {
    const text = tokenText(config[field]);
    if (text !== undefined) byName[field] = text;
  }
  const additional: unknown = config["additional_special_tokens"];
  const texts = Array.isArray(additional) ? additional.map(tokenText) : [];
  return { byName, additional: texts.filter((text) => text !== undefined) };
}

function tokenText(value: unknown): string | undefined {
  const text = isObject(value) ? value["content"] : value;
  return typeof text === "string" ? text : undefined;
}
