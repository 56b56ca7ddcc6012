/**
 * Defaults that a checkpoint brings for generation: sampling parameters and token ids. Nothing of it is needed to run the
 * model, so a value without meaning counts as absent and is warned about with file and field.
 */
import { isInRange, mapSampling, type SamplingName } from "../samplingParameters.js";
import { warn } from "../warning.js";
import type { ConfigReader } from "./configReader.js";
import { show } from "./json.js";

/** Sampling defaults of generation_config.json; undefined where the file says nothing. */
export interface SamplingDefaults extends Readonly<Partial<Record<SamplingName, number | undefined>>> {
  /** Not true: greedy decoding unless the user asks for a temperature. */
  readonly doSample?: boolean | undefined;
}

export function readSampling(generation: ConfigReader): SamplingDefaults {
  const isBoolean = (value: unknown): boolean => typeof value === "boolean";
  const doSample = readDefault(generation, "do_sample", "true or false", isBoolean) as boolean | undefined;
  const values = mapSampling((_, parameter) => {
    const { field, min, max, integer } = parameter;
    const expected = `${integer ? "an integer" : "a number"} from ${min} to ${max}`;
    const accepts = (value: unknown): boolean => isInRange(value, parameter);
    return field === undefined
      ? undefined
      : (readDefault(generation, field, expected, accepts) as number | undefined);
  });
  return { doSample, ...values };
}

/**
 * Fields of generation_config.json with which transformers writes another text and which do nothing here, each with the
 * values at which they do nothing there either, beside null. (`length_penalty`, `early_stopping` and the like only steer beams.)
 */
const unusedDefaults: Readonly<Record<string, readonly unknown[]>> = {
  num_beams: [1],
  num_beam_groups: [1],
  penalty_alpha: [0],
  dola_layers: [],
  min_length: [0],
  min_new_tokens: [0],
  max_new_tokens: [],
  no_repeat_ngram_size: [0],
  encoder_no_repeat_ngram_size: [0],
  encoder_repetition_penalty: [1],
  bad_words_ids: [],
  suppress_tokens: [],
  begin_suppress_tokens: [],
  forced_bos_token_id: [],
  forced_eos_token_id: [],
  sequence_bias: [],
  exponential_decay_length_penalty: [],
  stop_strings: [],
  guidance_scale: [1],
  watermarking_config: [],
  token_healing: [false],
};
/** The same for fields that only count where transformers draws. */
const unusedWhenDrawing: Readonly<Record<string, readonly unknown[]>> = {
  typical_p: [1],
  epsilon_cutoff: [0],
  eta_cutoff: [0],
  top_h: [],
};

/** Prompt and completion, in tokens, where transformers is told nothing; exporters write it into every file. */
const usualMaxLength = 20;

/**
 * Warns, once a file, about what `unusedDefaults` has, and a `max_length` that ends a text before the positions of the model do.
 *
 * @param mostPositions as config.json says it
 */
export function warnOfUnusedDefaults(generation: ConfigReader, mostPositions: unknown): void {
  const length = generation.json["max_length"];
  const isBound = typeof length !== "number" || typeof mostPositions !== "number" || length < mostPositions;
  const draws = generation.json["do_sample"] === true;
  const max_length: readonly unknown[] = isBound ? [usualMaxLength] : [length];
  const table = { ...unusedDefaults, max_length, ...(draws && unusedWhenDrawing) };
  const isEmpty = (value: unknown): boolean =>
    typeof value === "object" && value !== null && Object.keys(value).length === 0;
  const unused = Object.entries(table).filter(([field, neutral]) => {
    const value = generation.json[field];
    return generation.has(field) && !neutral.includes(value) && !isEmpty(value);
  });
  if (unused.length === 0) return;
  const shown = unused.map(([field]) => `${field} ${show(generation.json[field])}`).join(", ");
  warn(
    "WARN_UNUSED_DEFAULT",
    `${generation.file}: ignored, though transformers writes another text with it: ${shown}`,
  );
}

/**
 * Token ids of a field that holds one or a list: those that can be ids, each once.
 *
 * @param vocabSize ids are below it; undefined where the config does not say
 */
export function readTokenIds(
  reader: ConfigReader,
  field: string,
  vocabSize: number | undefined,
): readonly number[] {
  const value = reader.has(field) ? reader.json[field] : [];
  const end = vocabSize ?? 2 ** 31;
  const isTokenId = (id: unknown): id is number =>
    Number.isInteger(id) && Number(id) >= 0 && Number(id) < end;
  const ids: readonly unknown[] = Array.isArray(value) ? value : [value];
  const bad = ids.filter((id) => !isTokenId(id));
  if (bad.length > 0) {
    warnDefault(reader, field, `token ids from 0 to ${end - 1}`, Array.isArray(value) ? bad : value);
  }
  return [...new Set(ids.filter(isTokenId))];
}

function readDefault(
  reader: ConfigReader,
  field: string,
  expected: string,
  accepts: (value: unknown) => boolean,
): unknown {
  if (!reader.has(field)) return undefined;
  const value = reader.json[field];
  if (accepts(value)) return value;
  warnDefault(reader, field, expected, value);
  return undefined;
}

function warnDefault(reader: ConfigReader, field: string, expected: string, value: unknown): void {
  warn(
    "WARN_BAD_DEFAULT",
    `${reader.place(field)}: expected ${expected}, got ${show(value)}: it counts as absent`,
  );
}
