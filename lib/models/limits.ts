/**
 * Bounds on numbers of config.json, so that an absurd one is an error with a name and not an endless loop or an allocation
 * that fails, and the rule for the context length of a loaded model.
 */
import type { ConfigReader, FieldName } from "../checkpoint/configReader.js";
import { ArgumentRangeError } from "../errors.js";
import type { RopeTableOptions } from "../nn/ropeTable.js";
import type { ModelDefinition } from "./model.js";

/** The largest published models have 126. */
export const maxLayers = 1024;

/** The most that the op `moeRoute` takes. */
export const maxExperts = 4096;

/** Context of a model whose checkpoint asks for more, unless the user does, too: the table of angles takes its share. */
const defaultContextLimit = 32_768;

/** Positions are i32, and a table of angles has a row for each of them. */
const contextLimit = 2 ** 24;

/** Widths of a head that the attention ops take. */
const headDims = { multipleOf: 16, max: 512 };

/**
 * Verifies the width of a head.
 *
 * @param field the field to blame
 * @param source of a width that is not the field itself: what it is computed from
 */
export function checkHeadDim(
  reader: ConfigReader,
  field: FieldName,
  headDim: number,
  source?: string,
): number {
  const { multipleOf, max } = headDims;
  if (headDim % multipleOf === 0 && headDim <= max) return headDim;
  const computed = source === undefined ? "" : `${source} = `;
  return reader.fail(
    field,
    `heads whose width is a multiple of ${multipleOf} up to ${max} (it would be ${computed}${headDim})`,
  );
}

/** A positive integer of at most `max`. */
export function boundedInt(reader: ConfigReader, field: FieldName, max: number, fallback?: number): number {
  const value = reader.positiveInt(field, fallback);
  return value <= max ? value : reader.fail(field, `an integer from 1 to ${max}`);
}

/** The positions that a model was trained for. */
export function trainedPositions(reader: ConfigReader, field: FieldName, fallback?: number): number {
  const value = reader.positiveInt(field, fallback);
  return value >= 2 ? value : reader.fail(field, "at least 2 positions, as one cannot continue a text");
}

/**
 * The longest context of rotary positions: types that stretch the trained length reach factor times as far; the others end
 * where training did.
 */
export function longestRopeContext(rope: Omit<RopeTableOptions, "maxLength">): number {
  const { maxPositionEmbeddings, scaling } = rope;
  const factor = Number(scaling?.["factor"] ?? 1);
  const trained = Number(scaling?.["original_max_position_embeddings"] ?? maxPositionEmbeddings);
  return Math.max(maxPositionEmbeddings, Math.floor(trained * factor));
}

/** The most positions that a model can be loaded for. */
export function longestContext(definition: Pick<ModelDefinition, "longestContext">): number {
  return Math.min(definition.longestContext, contextLimit);
}

/**
 * How many positions a model is loaded for.
 *
 * @param asked `contextLength` of the load options
 * @throws ArgumentRangeError if that is not an integer from 2 (a token of the prompt and one of the answer) to what the positions of the model can express
 */
export function chooseContextLength(definition: ModelDefinition, asked: number | undefined): number {
  if (asked === undefined) return Math.min(definition.trainedContext, defaultContextLimit);
  const longest = longestContext(definition);
  if (!(Number.isInteger(asked) && asked >= 2 && asked <= longest)) {
    throw new ArgumentRangeError(
      `contextLength: expected an integer from 2 to ${longest} (tokens), got ${asked}`,
    );
  }
  return asked;
}
