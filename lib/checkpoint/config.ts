/**
 * Reads config.json and generation_config.json of a checkpoint folder: what every model has in common. The fields of one
 * architecture are read by its model file through `ModelConfigJson.reader`.
 */
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import { ConfigReader } from "./configReader.js";
import { readSampling, readTokenIds, type SamplingDefaults, warnOfUnusedDefaults } from "./fileDefaults.js";
import { isObject, readJsonObject } from "./json.js";
import { folderHint } from "./otherFormats.js";

export { ConfigReader, type FieldName } from "./configReader.js";
export type { SamplingDefaults } from "./fileDefaults.js";

export interface ModelConfigJson {
  /** Path of config.json. */
  readonly file: string;
  /** First of `architectures`, such as "LlamaForCausalLM"; undefined where the file has none. */
  readonly architecture: string | undefined;
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
 * @throws CheckpointError ERR_CHECKPOINT_MISSING if config.json is not there; ERR_CHECKPOINT_CONFIG for a file that is no
 * JSON object, and for `architectures` that is no list of names
 */
export async function readConfig(folder: string): Promise<ModelConfigJson> {
  const reader = await readReader(join(folder, "config.json"));
  if (reader === undefined) {
    const file = join(folder, "config.json");
    const message = `${file}: no such file${await folderHint(folder)}`;
    throw new CheckpointError("ERR_CHECKPOINT_MISSING", message, { file });
  }
  const generationFile = join(folder, "generation_config.json");
  const generation = (await readReader(generationFile)) ?? new ConfigReader(generationFile, {});
  warnOfUnusedDefaults(generation, reader.json["max_position_embeddings"] ?? reader.json["n_positions"]);
  const { vocab_size: size } = reader.json;
  const vocabSize = Number.isSafeInteger(size) && Number(size) > 0 ? Number(size) : undefined;
  const idsOf = (field: string) =>
    [sayingReader(reader, field), generation].flatMap((file) => readTokenIds(file, field, vocabSize));
  return {
    file: reader.file,
    architecture: readArchitecture(reader),
    reader,
    eosTokenIds: [...new Set(idsOf("eos_token_id"))],
    bosTokenId: idsOf("bos_token_id").at(-1), // generation_config.json wins
    sampling: readSampling(generation),
  };
}

/** Fields of config.json that may hold those of the decoder: token ids are read there, too. */
export const decoderParts: readonly string[] = ["decoder", "generator", "text_config"];

/** Where config.json says a field: at its top, else in the part for the decoder, as transformers looks it up. */
function sayingReader(reader: ConfigReader, field: string): ConfigReader {
  if (reader.has(field)) return reader;
  const parts = decoderParts.filter((name) => isObject(reader.json[name]));
  return parts.map((name) => reader.object(name)).find((part) => part.has(field)) ?? reader;
}

async function readReader(file: string): Promise<ConfigReader | undefined> {
  const json = await readJsonObject(file, { maxBytes: maxConfigBytes, code: "ERR_CHECKPOINT_CONFIG" });
  return json && new ConfigReader(file, json);
}

function readArchitecture(reader: ConfigReader): string | undefined {
  if (!reader.has("architectures")) return undefined;
  const { architectures } = reader.json;
  const first: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  return typeof first === "string" ? first : reader.fail("architectures", "a list with the name of a class");
}
