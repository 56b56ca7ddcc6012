/**
 * How tokens are drawn: the parameters of one request, and their packing into the arrays that the `sample` op reads.
 * Pure: the runner uploads the arrays.
 */
import { sampleColumns } from "../ops/sample.js";
import {
  samplingNames,
  type SamplingName,
  samplingOff,
  samplingParameters,
  type SamplingValues,
} from "../samplingParameters.js";
import type { LogitRow } from "../schedule/scheduledStep.js";

/** Token ids, each once, and what is added to their logits. Arrays, because they are copied in every step. */
export interface LogitBias {
  readonly ids: Int32Array;
  readonly values: Float32Array;
}

export const noBias: LogitBias = { ids: new Int32Array(0), values: new Float32Array(0) };

/** Checked sampling parameters of a request; generateOptions.ts says what each means. */
export interface Sampling extends SamplingValues {
  /** Whole number below 2^53. */
  readonly seed: number;
  readonly logitBias: LogitBias;
  /** Ids without probability until `minTokens` tokens are there. */
  readonly suppressed: readonly number[];
  readonly minTokens: number;
}

export const greedySampling: Sampling = {
  ...samplingOff,
  ...{ seed: 0, logitBias: noBias, suppressed: [], minTokens: 0 },
};

/** One step's parameters as the op reads them; rows beyond the samples are greedy padding. */
export interface SamplingBatch {
  /** [S, 6] */
  readonly floats: Float32Array;
  /** [S, 6] */
  readonly ints: Int32Array;
  /** Whether any row has penalties and the op needs the token pool. */
  readonly hasPenalties: boolean;
  /** [S, width] token ids (-1 pads) and what is added to their logits; null when no row has any. */
  readonly bias: { readonly ids: Int32Array; readonly values: Float32Array; readonly width: number } | null;
  /**
   * [S, width] token ids (-1 pads) that the device suppresses up to the length in `ints`; null when no row has any. Steps are the same
   * before and behind that length: how long a sequence is only the device need know.
   */
  readonly suppressed: { readonly ids: Int32Array; readonly width: number } | null;
}

type ArrayName = keyof typeof sampleColumns;
type Column = (typeof sampleColumns)[ArrayName][number];
/** What the op reads of a sequence beside its parameters. */
type SequenceColumn = Exclude<Column, SamplingName>;

/** Where a number of a row lies. */
interface Place<Name extends Column> {
  readonly name: Name;
  readonly array: ArrayName;
  /** Numbers of a row of the array. */
  readonly width: number;
  readonly column: number;
}

/** The places of some columns, looked up once: rows are written in every step. */
function placesOf<Name extends Column>(names: readonly Name[]): readonly Place<Name>[] {
  return names.map((name) => {
    const isFloat = (sampleColumns.floats as readonly Column[]).includes(name);
    const array = isFloat ? "floats" : "ints";
    const columns: readonly Column[] = sampleColumns[array];
    return { name, array, width: columns.length, column: columns.indexOf(name) };
  });
}

const parameterPlaces = placesOf(samplingNames);

const penalties = samplingNames.filter((name) => "penalty" in samplingParameters[name]);
/** Of a row that is no sequence. */
const padding: Readonly<Record<SequenceColumn, number>> = {
  seedLow: 0,
  seedHigh: 0,
  poolRow: -1,
  promptLength: 0,
  minLength: 0,
};
const sequencePlaces = placesOf(Object.keys(padding) as readonly SequenceColumn[]);

/**
 * @param samples of a step, in order; a sequence may have several
 * @param needs what the request of each asks for
 * @param size S, at least samples.length
 * @returns null when every row is a plain argmax
 */
export function packSampling(
  samples: readonly Pick<LogitRow, "sequence">[],
  needs: readonly { readonly sampling: Sampling; readonly constraint?: unknown }[],
  size: number,
): SamplingBatch | null {
  const rows = needs.map(({ sampling }) => sampling);
  if (rows.every(isPlain) && !needs.some(({ constraint }) => constraint)) return null;

  const arrays = {
    floats: new Float32Array(size * sampleColumns.floats.length),
    ints: new Int32Array(size * sampleColumns.ints.length),
  };
  for (const [i, sampling] of rows.entries()) {
    const { request, row } = samples[i]!.sequence;
    fillRow(arrays, i, sampling, {
      seedLow: (sampling.seed % 2 ** 32) | 0,
      seedHigh: Math.floor(sampling.seed / 2 ** 32),
      poolRow: hasPenalty(sampling) ? row : -1,
      promptLength: request.promptLength,
      minLength: Math.min(request.promptLength + sampling.minTokens, 0x7fffffff), // the last i32: no sequence is longer
    });
  }
  for (let i = rows.length; i < size; i++) fillRow(arrays, i, samplingOff, padding);
  return {
    ...arrays,
    hasPenalties: rows.some(hasPenalty),
    bias: packBias(rows, size),
    suppressed: packIds(
      rows.map(({ suppressed }) => suppressed),
      size,
    ),
  };
}

function fillRow(
  arrays: Pick<SamplingBatch, ArrayName>,
  row: number,
  values: SamplingValues,
  sequence: Readonly<Record<SequenceColumn, number>>,
): void {
  for (const { name, array, width, column } of parameterPlaces)
    arrays[array][row * width + column] = values[name];
  for (const { name, array, width, column } of sequencePlaces)
    arrays[array][row * width + column] = sequence[name];
}

function hasPenalty(sampling: Sampling): boolean {
  for (const name of penalties) if (sampling[name] !== samplingOff[name]) return true;
  return false;
}

function isPlain(sampling: Sampling): boolean {
  const { temperature, logitBias, suppressed } = sampling;
  return temperature === 0 && !hasPenalty(sampling) && logitBias.ids.length === 0 && suppressed.length === 0;
}

/** There may be thousands of entries in each row, in every step. */
function packBias(rows: readonly Sampling[], size: number): SamplingBatch["bias"] {
  const packed = packIds(
    rows.map(({ logitBias }) => logitBias.ids),
    size,
  );
  if (packed === null) return null;
  const values = new Float32Array(size * packed.width);
  for (const [i, { logitBias }] of rows.entries()) values.set(logitBias.values, i * packed.width);
  return { ...packed, values };
}

/** Lists of ids as rows of one width; null when all are empty. */
function packIds(lists: readonly ArrayLike<number>[], size: number): SamplingBatch["suppressed"] {
  const width = Math.max(0, ...lists.map(({ length }) => length));
  if (width === 0) return null;
  const ids = new Int32Array(size * width).fill(-1);
  for (const [i, list] of lists.entries()) ids.set(list, i * width);
  return { ids, width };
}
