import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import { ArgumentRangeError } from "../errors.js";
import { anyWeight, integer, storedRows } from "./argumentKinds.js";
import { GroupedWeight, type LinearWeight, segmentOfRow } from "./linearWeight.js";
import { op, optionsOf } from "./op.js";
import type { StoredRows } from "./storedRows.js";

export interface PackStoredOptions {
  /** The row of the weight that the first of them is. Default 0. */
  readonly first?: number | undefined;
  /** Of a stack. Default 0. */
  readonly expert?: number | undefined;
}

/**
 * Packs rows of a weight that a checkpoint stores as codes into their place in a weight: codes, scales and offsets as they are where it
 * has the format of `quantizedFormatOf`, else, in a dense one, their values as `dequantize` and `cast` make them.
 *
 * @param stored n rows with as many inputs as the weight
 * @param weight the rows lie in one of its segments
 * @throws TypeError / RangeError naming the argument, also for a weight of other codes, scales or offsets, and for a format that the
 * device has no kernels for. A row, input or group outside the matrix, groups of the weight that have several scales, and NaN (of
 * e4m3 or e8m0) are an execution error that names the row
 * @see native/formats/quantised.h for the layouts; native/ops/pack_stored
 */
export const packStored = op(
  "packStored",
  { stored: storedRows, weight: anyWeight },
  optionsOf<PackStoredOptions>({ first: integer(), expert: integer() }),
  (stream: Stream, stored: StoredRows, weight: LinearWeight, options: PackStoredOptions = {}): void => {
    const { first: row = 0, expert = 0 } = options;
    const experts = GroupedWeight.isGrouped(weight) ? weight.experts : 1;
    if (expert >= experts)
      throw new ArgumentRangeError(`packStored: expert: expected 0 to ${experts - 1}, got ${expert}`);
    const { segment, first } = segmentOfRow(weight, row);
    stream.run(native.ops.packStored, stored, segment.expert(expert), first);
  },
);
