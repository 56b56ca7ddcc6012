/**
 * Parameter rows of the sample op: named fields in, the packed arrays out, in the column order of the contract
 * (lib/ops/sample.ts).
 */
export interface SampleRow {
  readonly temperature?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetition?: number;
  readonly presence?: number;
  readonly frequency?: number;
  readonly topK?: number;
  readonly seed?: readonly [low: number, high: number];
  readonly position?: number;
  readonly poolRow?: number;
  readonly promptLength?: number;
  readonly minLength?: number;
}

/** Values as the device sees them: floats are rounded to float32. Without fields: plain sampling at temperature 1. */
export function packSampleRows(rows: readonly SampleRow[]): {
  readonly floats: Float64Array;
  readonly ints: Int32Array;
  readonly positions: Int32Array;
} {
  const floats = rows.flatMap(
    ({ temperature = 1, topP = 1, minP = 0, repetition = 1, presence = 0, frequency = 0 }) => [
      ...[temperature, topP, minP],
      ...[repetition, presence, frequency],
    ],
  );
  const ints = rows.flatMap(
    ({ topK = 0, seed: [low, high] = [0, 0], poolRow = -1, promptLength = 0, minLength = 0 }) => [
      ...[topK, low, high],
      ...[poolRow, promptLength, minLength],
    ],
  );
  return {
    floats: Float64Array.from(Float32Array.from(floats)),
    ints: Int32Array.from(ints),
    positions: Int32Array.from(rows, ({ position = 0 }) => position),
  };
}
