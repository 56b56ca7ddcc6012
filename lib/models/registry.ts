/**
 * Which family runs which architecture: one line per name of `architectures` in config.json.
 */
import { CheckpointError } from "../errors.js";
import { show } from "../weights/json.js";
import { gpt2 } from "./gpt2.js";
import { llama, mistral } from "./llama.js";
import { mixtral } from "./mixtral.js";
import type { ModelFamily } from "./model.js";
import { qwen3 } from "./qwen3.js";
import { qwen3Moe } from "./qwen3Moe.js";

const families: ReadonlyMap<string, ModelFamily> = new Map([
  ["GPT2LMHeadModel", gpt2],
  ["LlamaForCausalLM", llama],
  ["MistralForCausalLM", mistral],
  ["MixtralForCausalLM", mixtral],
  ["Qwen3ForCausalLM", qwen3],
  ["Qwen3MoeForCausalLM", qwen3Moe],
]);

/** Names that `findFamily` knows. */
export const supportedArchitectures: readonly string[] = [...families.keys()];

/**
 * The family of an architecture.
 *
 * @param file config.json, for the message
 * @throws CheckpointError ERR_UNSUPPORTED_ARCHITECTURE listing what is supported
 */
export function findFamily(architecture: string, file: string): ModelFamily {
  const family = families.get(architecture);
  if (family) return family;
  throw new CheckpointError(
    "ERR_UNSUPPORTED_ARCHITECTURE",
    `${file}: architecture ${show(architecture)} is not supported; supported are ${supportedArchitectures.join(", ")}`,
    { file },
  );
}
