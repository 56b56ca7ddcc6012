/**
 * Which family runs which architecture: one line per name of `architectures` in config.json, and its `model_type`.
 */
import type { ModelConfigJson } from "../checkpoint/config.js";
import { show } from "../checkpoint/json.js";
import { CheckpointError } from "../errors.js";
import { cohere, cohere2 } from "./cohere.js";
import { deepseekV2 } from "./deepseekV2.js";
import { deepseekV3 } from "./deepseekV3.js";
import { deepseekV32 } from "./deepseekV32.js";
import { exaone4 } from "./exaone4.js";
import { gemma2 } from "./gemma2.js";
import { gemma3, gemma3WithImages } from "./gemma3.js";
import { glm4 } from "./glm4.js";
import { glm4Moe } from "./glm4Moe.js";
import { gpt2 } from "./gpt2.js";
import { gptOss } from "./gptOss.js";
import { granite } from "./granite.js";
import { graniteMoe } from "./graniteMoe.js";
import { llama } from "./llama.js";
import { mamba2 } from "./mamba2.js";
import { ministral, mistral } from "./mistral.js";
import { mixtral } from "./mixtral.js";
import type { ModelFamily } from "./model.js";
import { olmo2 } from "./olmo2.js";
import { olmo3 } from "./olmo3.js";
import { olmoe } from "./olmoe.js";
import { phi3 } from "./phi3.js";
import { qwen2 } from "./qwen2.js";
import { qwen2Moe } from "./qwen2Moe.js";
import { qwen3 } from "./qwen3.js";
import { qwen3Moe } from "./qwen3Moe.js";
import { smollm3 } from "./smollm3.js";
import { stablelm } from "./stablelm.js";
import { starcoder2 } from "./starcoder2.js";

interface Row {
  readonly architecture: string;
  /** `model_type`, whose class for causal language models this is (MODEL_FOR_CAUSAL_LM_MAPPING_NAMES of transformers). */
  readonly modelType: string;
  readonly family: ModelFamily;
}

const rows: readonly Row[] = [
  { architecture: "CohereForCausalLM", modelType: "cohere", family: cohere },
  { architecture: "Cohere2ForCausalLM", modelType: "cohere2", family: cohere2 },
  { architecture: "DeepseekV2ForCausalLM", modelType: "deepseek_v2", family: deepseekV2 },
  { architecture: "DeepseekV3ForCausalLM", modelType: "deepseek_v3", family: deepseekV3 },
  { architecture: "DeepseekV32ForCausalLM", modelType: "deepseek_v32", family: deepseekV32 },
  { architecture: "Exaone4ForCausalLM", modelType: "exaone4", family: exaone4 },
  { architecture: "Gemma2ForCausalLM", modelType: "gemma2", family: gemma2 },
  { architecture: "Gemma3ForCausalLM", modelType: "gemma3_text", family: gemma3 },
  { architecture: "Gemma3ForConditionalGeneration", modelType: "gemma3", family: gemma3WithImages },
  { architecture: "Glm4ForCausalLM", modelType: "glm4", family: glm4 },
  { architecture: "Glm4MoeForCausalLM", modelType: "glm4_moe", family: glm4Moe },
  { architecture: "GPT2LMHeadModel", modelType: "gpt2", family: gpt2 },
  { architecture: "GptOssForCausalLM", modelType: "gpt_oss", family: gptOss },
  { architecture: "GraniteForCausalLM", modelType: "granite", family: granite },
  { architecture: "GraniteMoeForCausalLM", modelType: "granitemoe", family: graniteMoe },
  { architecture: "LlamaForCausalLM", modelType: "llama", family: llama },
  { architecture: "MistralForCausalLM", modelType: "mistral", family: mistral },
  { architecture: "MinistralForCausalLM", modelType: "ministral", family: ministral },
  { architecture: "Mamba2ForCausalLM", modelType: "mamba2", family: mamba2 },
  { architecture: "MixtralForCausalLM", modelType: "mixtral", family: mixtral },
  { architecture: "Olmo2ForCausalLM", modelType: "olmo2", family: olmo2 },
  { architecture: "Olmo3ForCausalLM", modelType: "olmo3", family: olmo3 },
  { architecture: "OlmoeForCausalLM", modelType: "olmoe", family: olmoe },
  { architecture: "Phi3ForCausalLM", modelType: "phi3", family: phi3 },
  { architecture: "Qwen2ForCausalLM", modelType: "qwen2", family: qwen2 },
  { architecture: "Qwen2MoeForCausalLM", modelType: "qwen2_moe", family: qwen2Moe },
  { architecture: "Qwen3ForCausalLM", modelType: "qwen3", family: qwen3 },
  { architecture: "Qwen3MoeForCausalLM", modelType: "qwen3_moe", family: qwen3Moe },
  { architecture: "SmolLM3ForCausalLM", modelType: "smollm3", family: smollm3 },
  { architecture: "StableLmForCausalLM", modelType: "stablelm", family: stablelm },
  { architecture: "Starcoder2ForCausalLM", modelType: "starcoder2", family: starcoder2 },
];
const families = new Map(rows.map(({ architecture, family }) => [architecture, family]));
const byModelType = new Map(rows.map(({ architecture, modelType }) => [modelType, architecture]));

/** Names that `findFamily` knows. */
export const supportedArchitectures: readonly string[] = [...families.keys()];

/**
 * The architecture of a checkpoint: the one that config.json names, else that of its `model_type`.
 *
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG without either; ERR_UNSUPPORTED_ARCHITECTURE for a model type that is not supported
 */
export function architectureOf({ architecture, reader }: ModelConfigJson): string {
  if (architecture !== undefined) return architecture;
  if (!reader.has("model_type")) reader.fail("architectures", "a list with the name of a class");
  const modelType = reader.string("model_type");
  return byModelType.get(modelType) ?? refuse(`model type ${show(modelType)}`, reader.file);
}

/**
 * The family of an architecture. It refuses fields that it does not have.
 *
 * @param file config.json, for the message
 * @param modelType `model_type` of config.json, for the message
 * @throws CheckpointError ERR_UNSUPPORTED_ARCHITECTURE listing what is supported
 */
export function findFamily(architecture: string, file: string, modelType?: unknown): ModelFamily {
  const family = families.get(architecture);
  if (family) return family;
  const named = modelType === undefined ? "" : ` of model type ${show(modelType)}`;
  return refuse(`architecture ${show(architecture)}${named}`, file);
}

function refuse(what: string, file: string): never {
  throw new CheckpointError(
    "ERR_UNSUPPORTED_ARCHITECTURE",
    `${file}: ${what} is not supported: its forward pass is missing here; ` +
      `supported are ${supportedArchitectures.join(", ")}`,
    { file },
  );
}
