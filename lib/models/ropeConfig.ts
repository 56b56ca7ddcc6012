/**
 * Reads how positions are rotated. The fields stand in up to three places: at the top of config.json, in `rope_scaling`
 * (transformers 4) and in `rope_parameters` (transformers 5). They are merged, and two places that disagree are refused: which
 * of them an export meant cannot be known. What the parameters do is lib/nn/ropeTable.ts.
 */
import { ConfigReader } from "../checkpoint/configReader.js";
import { isObject, type JsonObject, show } from "../checkpoint/json.js";
import { CheckpointError } from "../errors.js";
import { RopeParameterError, ropeTable, type RopeScaling, type RopeTableOptions } from "../nn/ropeTable.js";
import { trainedPositions } from "./limits.js";

export type RopeConfig = Omit<RopeTableOptions, "maxLength" | "pairs">;

/** What the class of a config has where config.json has nothing. */
export interface RopeDefaults {
  readonly theta: number;
  readonly share?: number | undefined;
  /** `max_position_embeddings`. Undefined: the field has to be there. */
  readonly maxPositions?: number | undefined;
  /** Where there is neither `rope_scaling` nor `rope_parameters`. */
  readonly scaling?: RopeScaling | undefined;
  /** Transformers 5 may have one rotation in `rope_parameters` for each of `layer_types`: the one to read. Undefined: it may not. */
  readonly layerType?: LayerType | undefined;
}

type LayerType = "full_attention" | "sliding_attention";

/** Names that belong to the rotation and may stand at the top of config.json. */
const topLevelFields = ["rope_theta", "partial_rotary_factor", "original_max_position_embeddings"];

/** By type of rotation: the parameters that lib/nn/ropeTable.ts reads. Any other type is refused there. */
const typeParameters: Readonly<Record<string, readonly string[]>> = {
  default: [],
  linear: ["factor"],
  dynamic: ["factor"],
  llama3: ["factor", "low_freq_factor", "high_freq_factor"],
  yarn: ["factor", "beta_fast", "beta_slow", "truncate", "attention_factor", "mscale", "mscale_all_dim"],
  longrope: ["factor", "short_factor", "long_factor", "attention_factor"],
};

/** Of every type. The trained length is read by the types that stretch it, and changes nothing for the others. */
const commonParameters = ["rope_type", "original_max_position_embeddings", "finetuned"];

/** All fields that `readRope` reads. */
export const ropeFields: readonly string[] = [
  ...topLevelFields,
  "rope_scaling",
  "rope_parameters",
  "max_position_embeddings",
];

/**
 * @param headDim width of a head, of which `partial_rotary_factor` is rotated (the first dimensions)
 * @param defaults base of the frequencies, and share of the head that is rotated (default: all), when no field says it
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming file and field: a contradiction, a parameter that the type of rotation
 * does not have, a value that makes no sense
 */
export function readRope(reader: ConfigReader, headDim: number, defaults: RopeDefaults): RopeConfig {
  const merged = mergeSources(reader, defaults);
  const factor = merged.positiveNumber("partial_rotary_factor", defaults.share ?? 1);
  const rotaryDim = Math.floor(headDim * factor);
  if (!(factor <= 1 && rotaryDim >= 2 && rotaryDim % 2 === 0)) {
    merged.fail("partial_rotary_factor", `a share of the ${headDim} dimensions of a head that makes pairs`);
  }
  const { partial_rotary_factor: _share, rope_theta: _theta, ...scaling } = merged.json;
  const rope = {
    rotaryDim,
    theta: merged.positiveNumber("rope_theta", defaults.theta),
    maxPositionEmbeddings: trainedPositions(reader, "max_position_embeddings", defaults.maxPositions),
    scaling,
  };
  checkParameters(merged, Object.keys(scaling));
  checkTable(rope, merged);
  return rope;
}

/**
 * The rotation of layers with a window, where scaling is for the others: `rope_parameters` has it for this type of layers by name, or it
 * is the default one.
 *
 * @param defaults the theta where neither `rope_parameters` nor `thetaField` has one
 * @throws CheckpointError as `readRope` does
 */
export function readWindowedRope(
  reader: ConfigReader,
  headDim: number,
  { thetaField, ...defaults }: RopeDefaults & { readonly thetaField?: string },
): RopeConfig {
  const parameters = reader.optionalObject("rope_parameters")?.json;
  const own = {
    rope_theta: thetaField && reader.has(thetaField) ? reader.positiveNumber(thetaField) : undefined,
    rope_parameters: parameters && hasTypes(parameters) ? parameters : undefined,
    max_position_embeddings: trainedPositions(reader, "max_position_embeddings", defaults.maxPositions),
  };
  const layerType = "sliding_attention";
  const nameOf = (name: string) => reader.nameOf(name === "rope_theta" ? (thetaField ?? name) : name);
  return readRope(new ConfigReader(reader.file, own, nameOf), headDim, { ...defaults, layerType });
}

/** `rope_parameters` of a type of layers, or of all where the file does not tell them apart. */
function pick(parameters: JsonObject, layerType: LayerType): JsonObject {
  if (!hasTypes(parameters)) return parameters;
  const own = parameters[layerType];
  return isObject(own) ? own : {};
}

function hasTypes(parameters: JsonObject): boolean {
  return ["full_attention", "sliding_attention"].some((name) => Object.hasOwn(parameters, name));
}

/** A parameter that the type does not have is refused, unless it is a factor of 1. */
function checkParameters(merged: ConfigReader, names: readonly string[]): void {
  const type = merged.string("rope_type", "default");
  const known = Object.hasOwn(typeParameters, type) ? typeParameters[type] : undefined;
  if (known === undefined) return; // the type itself is the mistake
  if (merged.has("original_max_position_embeddings"))
    merged.positiveNumber("original_max_position_embeddings"); // whoever reads it
  for (const name of names) {
    if (known.includes(name) || commonParameters.includes(name) || merged.json[name] === 1) continue;
    merged.fail(name, `nothing, for rope type "${type}" has no such parameter`);
  }
}

/** Every parameter of the rotation once, under its newer name; without any the scaling of the class. Errors say where it stands. */
function mergeSources(reader: ConfigReader, { layerType, scaling }: RopeDefaults): ConfigReader {
  const merged = new Map<string, { readonly value: unknown; readonly source: string }>();
  const add = (name: string, value: unknown, source: string): void => {
    if (value === undefined || value === null) return;
    const known = merged.get(name);
    if (known === undefined) merged.set(name, { value, source });
    else if (JSON.stringify(known.value) !== JSON.stringify(value)) {
      throw new CheckpointError(
        "ERR_CHECKPOINT_CONFIG",
        `${reader.file}: ${source} is ${show(value)}, but ${known.source} is ${show(known.value)}`,
        { file: reader.file },
      );
    }
  };
  for (const field of ["rope_parameters", "rope_scaling"]) {
    const given = reader.optionalObject(field)?.json ?? {};
    const path = reader.nameOf(layerType && hasTypes(given) ? `${field}.${layerType}` : field);
    for (const [name, value] of Object.entries(layerType ? pick(given, layerType) : given)) {
      if (name === "type" || name === "rope_type") {
        add("rope_type", value === "su" ? "longrope" : value, `${path}.${name}`); // its name in the first Phi-3
      } else add(name, value, `${path}.${name}`);
    }
  }
  // `null` says that there is none.
  const isSilent = ["rope_parameters", "rope_scaling"].every((field) => !Object.hasOwn(reader.json, field));
  for (const [name, value] of Object.entries((isSilent && scaling) || {})) add(name, value, "the class");
  for (const name of topLevelFields) {
    if (reader.has(name)) add(name, reader.json[name], reader.nameOf(name));
  }
  const json = Object.fromEntries([...merged].map(([name, { value }]) => [name, value]));
  const object = reader.has("rope_parameters") ? "rope_parameters" : "rope_scaling"; // where one is missing
  const inObject = (name: string) =>
    reader.nameOf(topLevelFields.includes(name) ? name : `${object}.${name}`);
  return new ConfigReader(reader.file, json, (name) => merged.get(name)?.source ?? inObject(name));
}

/** Builds a table of one row, so that a mistake fails before the load, and with its place in the file. */
function checkTable(rope: RopeConfig, merged: ConfigReader): void {
  try {
    ropeTable({ ...rope, maxLength: 1 });
  } catch (error) {
    if (!(error instanceof RopeParameterError)) throw error;
    const { code, parameter, problem } = error;
    const message = `${merged.place(parameter)} ${problem}`;
    throw new CheckpointError(code, message, { file: merged.file }, { cause: error });
  }
}
