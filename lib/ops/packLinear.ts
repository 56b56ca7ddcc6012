import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { Tensor } from "../device/tensor.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";
import {
  flag,
  floatDType,
  groupedWeight,
  integer,
  largestAxis,
  required,
  tensor,
  tensorOrTensors,
} from "./argumentKinds.js";
import { emptySegments, GroupedWeight, LinearWeight, packRows } from "./linearWeight.js";
import { op, optionsOf } from "./op.js";

export type {
  ActivationType,
  DenseFormat,
  ExpertsShape,
  GroupedWeight,
  LinearWeight,
  MatrixShape,
  OffsetType,
  QuantizedFormat,
  ScaleType,
  SegmentShape,
  WeightFormat,
  WeightFormatName,
  WeightSegment,
} from "./linearWeight.js";

export interface PackLinearOptions {
  /** The matrices are [K, N], as in GPT-2's Conv1D. Default false. */
  readonly transpose?: boolean | undefined;
  /** Rows are gate (N/2), then up (N/2), and `linear` gives silu(gate) * up. Default false. */
  readonly swiglu?: boolean | undefined;
}

/**
 * Packs a weight matrix for `linear`, once at load.
 *
 * @param weight [N, K], or [K, N] with `transpose`; f32 | bf16 | f16. Or several of the same K by their names, whose rows follow
 * each other: { q_proj, k_proj, v_proj }. Neighbours of one dtype become one segment, which is one launch of `linear`
 * @returns a weight that owns its memory, independent of `weight` once the stream has passed
 * @throws TypeError / RangeError naming the argument
 * @see native/formats for the layouts
 */
export const packLinear = op(
  "packLinear",
  { weight: tensorOrTensors },
  optionsOf<PackLinearOptions>({ transpose: flag, swiglu: flag }),
  (
    stream: Stream,
    weight: Tensor | Readonly<Record<string, Tensor>>,
    options: PackLinearOptions = {},
  ): LinearWeight => {
    const matrices = matricesOf(weight, options.transpose ?? false);
    const parts = matrices.map(({ name, matrix }) => ({
      name,
      outputs: matrix.size(0),
      format: { format: "dense", dtype: matrix.dtype as FloatDType } as const,
    }));
    const { swiglu = false } = options;
    const rows = parts.reduce((sum, { outputs }) => sum + outputs, 0);
    if (swiglu) checkGateAndUp("packLinear: weight", rows);
    const shape = { experts: 1, inputs: matrices[0]!.matrix.size(1), swiglu };
    const packed = new LinearWeight(shape, emptySegments(stream.device, shape, parts));
    try {
      let first = 0;
      for (const { matrix } of matrices) {
        packRows(stream, packed, { first, matrix });
        first += matrix.size(0);
      }
    } catch (error) {
      packed.dispose();
      throw error;
    }
    return packed;
  },
);

interface NamedMatrix {
  readonly name: string;
  /** [N, K] */
  readonly matrix: Tensor;
}

/** @throws ArgumentRangeError for what are no matrices of one K */
function matricesOf(weight: Tensor | Readonly<Record<string, Tensor>>, transpose: boolean): NamedMatrix[] {
  const entries = Tensor.is(weight) ? [["weight", weight] as const] : Object.entries(weight);
  const matrices = entries.map(([name, stored]): NamedMatrix => {
    if (stored.rank !== 2) {
      const got = `got ${name} [${stored.shape.join(", ")}]`;
      throw new ArgumentRangeError(
        `packLinear: weight: expected [N, K]${transpose ? " as [K, N]" : ""}, ${got}`,
      );
    }
    return { name, matrix: transpose ? turned(stored) : stored };
  });
  const [first] = matrices as [NamedMatrix];
  for (const { name, matrix } of matrices) {
    if (matrix.size(1) === first.matrix.size(1)) continue;
    const expected = `expected K=${first.matrix.size(1)} (from ${first.name})`;
    throw new ArgumentRangeError(`packLinear: weight: ${expected}, got K=${matrix.size(1)} of ${name}`);
  }
  return matrices;
}

function checkGateAndUp(what: string, rows: number): void {
  if (rows % 2 === 0) return;
  throw new ArgumentRangeError(`${what}: expected an even number of rows, gate and up, got ${rows}`);
}

/** What `emptyGroupedWeight` makes room for. */
export interface GroupedShape {
  readonly experts: number;
  /** Outputs N of each. */
  readonly outputs: number;
  /** Inputs K of each. */
  readonly inputs: number;
  readonly dtype: FloatDType;
  /** Rows are gate (N/2), then up (N/2). */
  readonly swiglu: boolean;
}

/**
 * Room for E packed weights; fill it with `packExpert`, one expert at a time, so that a large mixture never needs a
 * second copy of all its experts.
 */
export const emptyGroupedWeight = op(
  "emptyGroupedWeight",
  {},
  optionsOf<GroupedShape>(
    {
      experts: required(integer({ min: 1, max: largestAxis })),
      outputs: required(integer({ max: largestAxis })),
      inputs: required(integer({ max: largestAxis })),
      dtype: required(floatDType),
      swiglu: required(flag),
    },
    "shape",
  ),
  (stream: Stream, shape: GroupedShape): GroupedWeight => {
    if (shape.swiglu) checkGateAndUp("emptyGroupedWeight: outputs", shape.outputs);
    const format = { format: "dense", dtype: shape.dtype } as const;
    const parts = [{ name: "weight", outputs: shape.outputs, format }];
    return new GroupedWeight(shape, emptySegments(stream.device, shape, parts));
  },
);

/**
 * Packs the weight of one expert into its place.
 *
 * @param weight [N, K], dtype of `group`
 * @throws RangeError for an expert outside [0, E), TypeError / RangeError for a wrong dtype or shape
 */
export const packExpert = op(
  "packExpert",
  { group: groupedWeight, expert: integer(), weight: tensor },
  undefined,
  (stream: Stream, group: GroupedWeight, expert: number, weight: Tensor): void => {
    if (expert >= group.experts) {
      throw new ArgumentRangeError(`packExpert: expert: expected 0 to ${group.experts - 1}, got ${expert}`);
    }
    const [N, K] = [group.outputs, group.inputs];
    const isWhole = weight.rank === 2 && weight.size(0) === N && weight.size(1) === K;
    if (!isWhole) {
      const got = `got [${weight.shape.join(", ")}]`;
      throw new ArgumentRangeError(`packExpert: weight: expected [N=${N}, K=${K}] (from group), ${got}`);
    }
    const { dtype } = group.segments[0]!.format; // emptyGroupedWeight makes one segment
    if (weight.dtype !== dtype) {
      const expected = `expected dtype ${dtype} (from group), got ${weight.dtype}`;
      throw new ArgumentTypeError(`packExpert: weight: ${expected}`);
    }
    packRows(stream, group, { first: 0, matrix: weight, expert });
  },
);

/** [K, N] as [N, K] */
function turned({ memory, dtype, shape, strides, byteOffset }: Tensor): Tensor {
  return Tensor.strided(memory, dtype, [...shape].reverse(), [...strides].reverse(), byteOffset);
}
