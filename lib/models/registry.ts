/**
 * Which family runs which architecture: one line per name of `architectures` in config.json.
 */
import { CheckpointError } from "../errors.js";
import { show } from "../weights/json.js";
import { gpt2 } from "./gpt2.js";
import { llama, mistral } from "./llama.js";
import { mixtral } from "./mixtral.js";
import type { ModelFamily } from "./model.js";
import { refuseQuantization } from "./quantization.js";
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
 * The family of an architecture. It refuses quantised weights and fields that it does not have.
 *
 * @param file config.json, for the message
 * @param modelType `model_type` of config.json, for the message
 * @throws CheckpointError ERR_UNSUPPORTED_ARCHITECTURE listing what is supported
 */
export function findFamily(architecture: string, file: string, modelType?: unknown): ModelFamily {
  const family = families.get(architecture);
  if (family) {
    return (reader) => {
      refuseQuantization(reader, supportedArchitectures);
      return family(reader);
    };
  }
  const named = modelType === undefined ? "" : ` of model type ${show(modelType)}`;
  throw new CheckpointError(
    "ERR_UNSUPPORTED_ARCHITECTURE",
    `${file}: architecture ${show(architecture)}${named} is not supported: its forward pass is missing here; ` +
      `supported are ${supportedArchitectures.join(", ")}`,
    { file },
  );
}
