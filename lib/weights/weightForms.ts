/**
 * What becomes of a planned weight in each of its forms: the memory that it needs, what the model gets, and how rows that have
 * been read come to their place.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { cast } from "../ops/cast.js";
import {
  type ExpertsShape,
  GroupedWeight,
  LinearWeight,
  packRows,
  type SegmentPlan,
  planSegments,
  WeightSegment,
} from "../ops/linearWeight.js";
import { matrixDtype } from "./activationDtype.js";
import type { ModelWeights, WeightForm } from "./modelWeights.js";
import type { Room } from "./weightArena.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** Rows [first, first + n) of a weight. */
export interface Rows {
  /** [.., K], rows counted by the outer axes, any strides; of a vector K = 1. In the dtype that `wants` gives. */
  readonly values: Tensor;
  readonly first: number;
  readonly expert: number;
}

/** A weight whose memory is planned. */
export interface FormedWeight {
  readonly rooms: readonly Room[];
  /** The dtype in which rows of a part are put. */
  wants(stored: FloatDType): FloatDType;
  /** Gives the weight, whose tensors are those of `rooms`, to the model. */
  place(tensors: readonly Tensor[], weights: ModelWeights): PlacedWeight;
}

export interface PlacedWeight {
  /** Where the bytes of these rows can be read to as they are stored; undefined: they have to be `put`. */
  direct?(part: PlannedPart): Tensor | undefined;
  put(stream: Stream, rows: Rows): void;
}

/**
 * @param weight its parts are those whose values it has: of a tied weight those of the weight that it shares
 * @param activations activation dtype
 */
export function formWeight(weight: PlannedWeight, form: WeightForm, activations: FloatDType): FormedWeight {
  switch (form) {
    case "vector":
      return plainRows(weight, "f32", (weights, tensor) =>
        weights.addVector(weight.slot, weight.layer, tensor),
      );
    case "table":
      return plainRows(weight, weight.parts[0]!.dtype, (weights, tensor) =>
        weights.addTable(weight.slot, tensor),
      );
    case "linear": {
      const shape = { experts: 1, inputs: weight.shape[1]!, swiglu: false };
      return packedRows(weight, activations, shape, (weights, segments) =>
        weights.addLinear(weight.slot, weight.layer, new LinearWeight(shape.inputs, segments)),
      );
    }
    case "experts":
    case "gatedExperts": {
      const [experts, , inputs] = weight.shape as readonly [number, number, number];
      const shape = { experts, inputs, swiglu: form === "gatedExperts" };
      return packedRows(weight, activations, shape, (weights, segments) =>
        weights.addExperts(weight.slot, weight.layer, new GroupedWeight(shape, segments)),
      );
    }
  }
}

/** Rows as they are, in one dtype. */
function plainRows(
  { shape }: PlannedWeight,
  dtype: FloatDType,
  add: (weights: ModelWeights, tensor: Tensor) => void,
): FormedWeight {
  return {
    rooms: [{ dtype, shape }],
    wants: () => dtype,
    place([tensor], weights) {
      const whole = tensor!;
      add(weights, whole);
      return {
        direct: ({ view, map, firstRow, rows, ...part }) =>
          part.dtype === dtype && !view && !map ? whole.slice(0, firstRow, firstRow + rows) : undefined,
        put(stream, { values, first }) {
          const rows = values.numel / values.size(-1);
          const out = whole.slice(0, first, first + rows).reshape(values.shape);
          cast(stream, values, dtype, { out });
        },
      };
    },
  };
}

function packedRows(
  weight: PlannedWeight,
  activations: FloatDType,
  shape: ExpertsShape,
  add: (weights: ModelWeights, segments: readonly WeightSegment[]) => LinearWeight,
): FormedWeight {
  const parts = weight.parts.filter(({ expert }) => expert === 0); // those of the others are alike
  const plan = parts.map(({ module, rows, dtype }): SegmentPlan => ({
    name: module,
    outputs: rows,
    format: { format: "dense", dtype: matrixDtype(activations, dtype) },
  }));
  const segments = planSegments(shape, plan);
  return {
    rooms: segments.map(({ segment, sizes }) => ({ dtype: segment.format.dtype, shape: sizes })),
    wants: (stored) => matrixDtype(activations, stored),
    place(tensors, weights) {
      const packed = segments.map(({ segment }, i) => new WeightSegment(segment, tensors[i]!));
      const whole = add(weights, packed);
      return {
        put: (stream, { values, first, expert }) =>
          packRows(stream, whole, { first, matrix: values, expert }),
      };
    },
  };
}
