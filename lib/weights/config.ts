/**
 * Reads config.json and generation_config.json of a checkpoint folder: what every model has in common. The fields of one
 * architecture are read by its model file through `ModelConfigJson.reader`.
 */
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import { ConfigReader } from "./configReader.js";
import { readJsonObject } from "./json.js";

export { ConfigReader, type FieldName } from "./configReader.js";

/** Sampling defaults of generation_config.json; undefined where the file says nothing. */
export interface SamplingDefaults {
  /** False: greedy decoding unless the user asks for a temperature. */
  readonly doSample: boolean | undefined;
  readonly temperature: number | undefined;
  /** 0 is off. */
  readonly topK: number | undefined;
  readonly topP: number | undefined;
  readonly minP: number | undefined;
  readonly repetitionPenalty: number | undefined;
}

export interface ModelConfigJson {
  /** Path of config.json. */
  readonly file: string;
  /** First of `architectures`, such as "LlamaForCausalLM". */
  readonly architecture: string;
  /** Fields of config.json. */
  readonly reader: ConfigReader;
  /** Ids that end a generation: those of config.json and those of generation_config.json. */
  readonly eosTokenIds: readonly number[];
  readonly bosTokenId: number | undefined;
  readonly sampling: SamplingDefaults;
}

/** Real configs have a few KB; per-layer lists of large models reach some hundred KB. */
const maxConfigBytes = 16_000_000;

/**
 * Reads the configuration of a checkpoint.
 *
 * @param folder path of the checkpoint folder
 * @throws CheckpointError ERR_CHECKPOINT_MISSING if config.json is not there; ERR_CHECKPOINT_CONFIG naming file, field,
 * expected and got
 */
export async function readConfig(folder: string): Promise<ModelConfigJson> {
  const reader = await readReader(join(folder, "config.json"));
  if (reader === undefined) {
    const file = join(folder, "config.json");
    throw new CheckpointError("ERR_CHECKPOINT_MISSING", `${file}: no such file`, { file });
  }
  const generationFile = join(folder, "generation_config.json");
  const generation = (await readReader(generationFile)) ?? new ConfigReader(generationFile, {});
  const eosTokenIds = [reader, generation].flatMap((file) => file.tokenIds("eos_token_id"));
  return {
    file: reader.file,
    architecture: readArchitecture(reader),
    reader,
    eosTokenIds: [...new Set(eosTokenIds)],
    bosTokenId: generation.tokenIds("bos_token_id")[0] ?? reader.tokenIds("bos_token_id")[0],
    sampling: readSampling(generation),
  };
}

async function readReader(file: string): Promise<ConfigReader | undefined> {
  const json = await readJsonObject(file, { maxBytes: maxConfigBytes, code: "ERR_CHECKPOINT_CONFIG" });
  return json && new ConfigReader(file, json);
}

function readArchitecture(reader: ConfigReader): string {
  const { architectures } = reader.json;
  const first: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  return typeof first === "string" ? first : reader.fail("architectures", "a list with the name of a class");
}

function readSampling(generation: ConfigReader): SamplingDefaults {
  const optional = <T>(field: string, read: (field: string) => T): T | undefined =>
    generation.has(field) ? read(field) : undefined;
  const number = (field: string, min: number, max: number): number | undefined =>
    optional(field, () => {
      const value = generation.number(field);
      return value >= min && value <= max ? value : generation.fail(field, `a number in [${min}, ${max}]`);
    });
  return {
    doSample: optional("do_sample", (field) => generation.bool(field)),
    temperature: number("temperature", 0, 1e6),
    topK: optional("top_k", (field) => generation.nonNegativeInt(field)),
    topP: number("top_p", 0, 1),
    minP: number("min_p", 0, 1),
    repetitionPenalty: optional("repetition_penalty", (field) => generation.positiveNumber(field)),
  };
}
