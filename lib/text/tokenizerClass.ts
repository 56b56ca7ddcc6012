/**
 * Which tokens go before and after a text where tokenizer.json does not say it: some tokenizer classes of transformers read
 * `add_bos_token` and `add_eos_token` of tokenizer_config.json, the others ignore them.
 */
import type { JsonObject } from "../weights/json.js";
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

/** Stages that say themselves which tokens surround a text. The others only move offsets. */
const templates: readonly unknown[] = ["TemplateProcessing", "BertProcessing", "RobertaProcessing"];

/**
 * The definition with the post-processor that transformers would put in place of one that adds nothing.
 *
 * @param config content of tokenizer_config.json
 */
export function withClassTemplate(
  definition: TokenizerDefinition,
  config: JsonObject,
  { byName }: SpecialTokenNames,
): TokenizerDefinition {
  if (definition.stages.post_processor.some((stage) => templates.includes(stage["type"]))) return definition;
  const name = config["tokenizer_class"] ?? undefined;
  const defaults = classes.get(typeof name === "string" ? name.replace(/Fast$/, "") : name);
  if (defaults === undefined) return definition;
  const hasId = new Set(definition.addedTokens.map(({ content }) => content));
  const special = (field: "bos" | "eos", isDefault: boolean): object[] => {
    const [token, isAdded] = [byName[`${field}_token`], config[`add_${field}_token`] ?? isDefault];
    return token !== undefined && hasId.has(token) && isAdded === true
      ? [{ SpecialToken: { id: token, type_id: 0 } }]
      : [];
  };
  const [before, after] = [special("bos", defaults.addBos), special("eos", defaults.addEos)];
  if (before.length + after.length === 0) return definition;
  const single = [...before, { Sequence: { id: "A", type_id: 0 } }, ...after];
  const postProcessor = { type: "TemplateProcessing", single, pair: [], special_tokens: {} };
  return {
    ...definition,
    json: { ...definition.json, post_processor: postProcessor },
    stages: { ...definition.stages, post_processor: [postProcessor] },
  };
}
