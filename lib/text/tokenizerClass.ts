/**
 * Which tokens go before and after a text: some tokenizer classes of transformers read `add_bos_token` and `add_eos_token` of
 * tokenizer_config.json, some of them whatever tokenizer.json says, the others ignore them. All of them read `add_prefix_space`.
 */
import { isObject, type JsonObject } from "../checkpoint/json.js";
import type { SpecialTokenNames } from "./specialTokens.js";
import type { TokenizerDefinition } from "./tokenizerDefinition.js";

/** What the class does when the fields are absent. */
interface Defaults {
  readonly addBos: boolean;
  readonly addEos: boolean;
}

const addsBos = { addBos: true, addEos: false };
const addsNothing = { addBos: false, addEos: false };

/** The classes that read the fields, without the "Fast" that may follow. */
const classes: ReadonlyMap<unknown, Defaults> = new Map([
  ["LlamaTokenizer", addsBos],
  ["CodeLlamaTokenizer", addsBos],
  ["GemmaTokenizer", addsBos],
  ["CohereTokenizer", addsBos],
  ["GPTNeoXTokenizer", addsNothing],
  // A config without a class leaves the choice to the model; what it says explicitly counts.
  [undefined, addsNothing],
]);

/** Those of them that put their own template in place of that of tokenizer.json (transformers 4). */
const replacing: ReadonlySet<unknown> = new Set(["LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer"]);

/** Stages that say themselves which tokens surround a text. The others only move offsets. */
const templates: readonly unknown[] = ["TemplateProcessing", "BertProcessing", "RobertaProcessing"];

/**
 * The definition with the post-processor that transformers would put in place of its own. A template of tokenizer.json stays where
 * the class would need a token that has no name or no id here.
 *
 * @param config content of tokenizer_config.json
 */
export function withClassTemplate(
  definition: TokenizerDefinition,
  config: JsonObject,
  { byName }: SpecialTokenNames,
): TokenizerDefinition {
  const named = config["tokenizer_class"] ?? undefined;
  const name = typeof named === "string" ? named.replace(/Fast$/, "") : named;
  const defaults = classes.get(name);
  if (defaults === undefined) return definition;
  const hasTemplate = definition.stages.post_processor.some((stage) => templates.includes(stage["type"]));
  if (hasTemplate && !replacing.has(name)) return definition;
  const hasId = new Set(definition.addedTokens.map(({ content }) => content));
  /** None if the class adds none; undefined if it would add one that is not known. */
  const special = (field: "bos" | "eos", isDefault: boolean): object[] | undefined => {
    const [token, isAdded] = [byName[`${field}_token`], config[`add_${field}_token`] ?? isDefault];
    if (isAdded !== true) return [];
    return token !== undefined && hasId.has(token)
      ? [{ SpecialToken: { id: token, type_id: 0 } }]
      : undefined;
  };
  const [bos, eos] = [special("bos", defaults.addBos), special("eos", defaults.addEos)];
  if (hasTemplate && !(bos && eos)) return definition;
  const [before, after] = [bos ?? [], eos ?? []];
  if (!hasTemplate && before.length + after.length === 0) return definition;
  const single = [...before, { Sequence: { id: "A", type_id: 0 } }, ...after];
  const postProcessor = { type: "TemplateProcessing", single, pair: [], special_tokens: {} };
  return { ...definition, stages: { ...definition.stages, post_processor: [postProcessor] } };
}

/**
 * The definition with the space that tokenizer_config.json wants before a text, or does not want: as in transformers it counts
 * more than what tokenizer.json says, where ByteLevel is the only pre-tokenizer.
 *
 * @param config content of tokenizer_config.json
 */
export function withPrefixSpace(definition: TokenizerDefinition, config: JsonObject): TokenizerDefinition {
  const wanted = config["add_prefix_space"];
  const stage = definition.json["pre_tokenizer"];
  if (typeof wanted !== "boolean" || !isObject(stage) || stage["type"] !== "ByteLevel") return definition;
  const changed = { ...stage, add_prefix_space: wanted };
  return {
    ...definition,
    json: { ...definition.json, pre_tokenizer: changed },
    stages: { ...definition.stages, pre_tokenizer: [changed] },
  };
}
