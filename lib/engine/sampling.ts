/**
 * How tokens are drawn: the parameters of one request, and their packing into the arrays that the `sample` op reads.
 * Pure: the runner uploads the arrays. Column order is that of native/ops/sample/sample.h.
 */
import type { Request } from "../schedule/request.js";
import type { ScheduledSequence } from "../schedule/scheduledStep.js";

/** Token ids, each once, and what is added to their logits. Arrays, because they are copied in every step. */
export interface LogitBias {
  readonly ids: Int32Array;
  readonly values: Float32Array;
}

export const noBias: LogitBias = { ids: new Int32Array(0), values: new Float32Array(0) };

/** Checked sampling parameters of a request; generateOptions.ts says what each means. */
export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** Whole number below 2^53. */
  readonly seed: number;
  readonly logitBias: LogitBias;
  /** Ids without probability until `minTokens` tokens are there. */
  readonly suppressed: readonly number[];
  readonly minTokens: number;
}

/** One step's parameters as the op reads them; rows beyond the samples are greedy padding. */
export interface SamplingBatch {
  /** [S, 6]: temperature, topP, minP, repetition, presence, frequency penalty. */
  readonly floats: Float32Array;
  /** [S, 5]: topK, seed low and high word, token pool row (-1: no penalties), prompt length. */
  readonly ints: Int32Array;
  /** Whether any row has penalties and the op needs the token pool. */
  readonly hasPenalties: boolean;
  /** [S, width] token ids (-1 pads) and what is added to their logits; null when no row has any. */
  readonly bias: { readonly ids: Int32Array; readonly values: Float32Array; readonly width: number } | null;
}

const floatColumns = 6;
const intColumns = 5;

/**
 * @param samples the sequences that sample, in order
 * @param size S, at least samples.length
 * @returns null when every row is a plain argmax
 */
export function packSampling(
  samples: readonly ScheduledSequence[],
  size: number,
  samplingOf: (request: Request) => Sampling,
): SamplingBatch | null {
  const rows = samples.map((sequence) => samplingOf(sequence.request));
  const suppressed = rows.map((sampling, i) => suppressedOf(sampling, samples[i]!));
  const numBiased = rows.map(({ logitBias }, i) => logitBias.ids.length + suppressed[i]!.length);
  const isPlain = (sampling: Sampling, i: number) =>
    sampling.temperature === 0 && !hasPenalty(sampling) && numBiased[i] === 0;
  if (rows.every(isPlain)) return null;

  const floats = new Float32Array(size * floatColumns);
  const ints = new Int32Array(size * intColumns);
  for (let i = 0; i < size; i++) {
    floats.set([0, 1, 0, 1, 0, 0], i * floatColumns);
    ints.set([0, 0, 0, -1, 0], i * intColumns);
  }
  for (const [i, s] of rows.entries()) {
    const { request, row } = samples[i]!;
    const penalties = [s.repetitionPenalty, s.presencePenalty, s.frequencyPenalty];
    floats.set([s.temperature, s.topP, s.minP, ...penalties], i * floatColumns);
    const poolRow = hasPenalty(s) ? row : -1;
    const [low, high] = [s.seed % 2 ** 32, Math.floor(s.seed / 2 ** 32)];
    ints.set([s.topK, low | 0, high, poolRow, request.promptLength], i * intColumns);
  }
  return {
    floats,
    ints,
    hasPenalties: rows.some(hasPenalty),
    bias: packBias(rows, suppressed, size, Math.max(0, ...numBiased)),
  };
}

function hasPenalty(s: Sampling): boolean {
  return s.repetitionPenalty !== 1 || s.presencePenalty !== 0 || s.frequencyPenalty !== 0;
}

function suppressedOf(sampling: Sampling, { request, start, count }: ScheduledSequence): readonly number[] {
  const generated = start + count - request.promptLength;
  return generated < sampling.minTokens ? sampling.suppressed : [];
}

/** There may be thousands of entries in each row, in every step. */
function packBias(
  rows: readonly Sampling[],
  suppressed: readonly (readonly number[])[],
  size: number,
  width: number,
): SamplingBatch["bias"] {
  if (width === 0) return null;
  const ids = new Int32Array(size * width).fill(-1);
  const values = new Float32Array(size * width);
  for (const [i, { logitBias }] of rows.entries()) {
    const [at, end] = [i * width, i * width + logitBias.ids.length];
    ids.set(logitBias.ids, at);
    values.set(logitBias.values, at);
    ids.set(suppressed[i]!, end);
    values.fill(-Infinity, end, end + suppressed[i]!.length);
  }
  return { ids, values, width };
}
