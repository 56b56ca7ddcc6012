/**
 * What becomes of a planned weight in each of its forms: the memory that it needs, what the model gets, and how rows that have
 * been read come to their place.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { Tensor } from "../device/tensor.js";
import { cast } from "../ops/cast.js";
import {
  type ExpertsShape,
  GroupedWeight,
  isSameOrders,
  LinearWeight,
  packRows,
  type SegmentPlan,
  planSegments,
  type SegmentRoom,
  WeightSegment,
} from "../ops/linearWeight.js";
import { packStored } from "../ops/packStored.js";
import type { StoredRows } from "../ops/storedRows.js";
import { matrixDtype } from "./activationDtype.js";
import { keptFormat, type KeptOptions } from "./codedFormat.js";
import { distinctOrders, keptPlaces, orderIndices } from "./keptPlaces.js";
import type { ModelWeights, WeightForm } from "./modelWeights.js";
import { viewedSizes } from "./rowView.js";
import type { WeightRoom } from "./weightArena.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** Rows [first, first + n) of a weight. */
export interface Rows {
  /** [.., K], rows counted by the outer axes, any strides; of a vector K = 1. In the dtype that `wants` gives. */
  readonly values: Tensor;
  readonly first: number;
  readonly expert: number;
}

/** Rows of a weight in codes. */
export interface StoredRowsOf {
  readonly stored: StoredRows;
  readonly first: number;
  readonly expert: number;
}

/** A weight whose memory is planned. */
export interface FormedWeight {
  readonly rooms: readonly WeightRoom[];
  /** All rows of a part have to be put at once, with the axes of its view. */
  readonly whole?: true;
  /** Whether rows of a part in codes are put as they are. */
  keeps?(part: PlannedPart): boolean;
  /** The dtype in which rows of another part are put. */
  wants(stored: FloatDType): FloatDType;
  /** Gives the weight, whose tensors are those of `rooms`, to the model. */
  place(tensors: readonly Tensor[], weights: ModelWeights, stream: Stream): PlacedWeight;
}

export interface PlacedWeight {
  /** Where the bytes of these rows can be read to as they are stored; undefined: they have to be `put`. */
  direct?(part: PlannedPart): Tensor | undefined;
  put(stream: Stream, rows: Rows): void;
  putStored?(stream: Stream, rows: StoredRowsOf): void;
}

/** What forms depend on. */
export interface FormOptions extends KeptOptions {
  /** Dtype of activations. */
  readonly activations: FloatDType;
}

/** A weight of the plan, with the parts whose values it gets. */
export interface FormedWeights {
  readonly weight: Pick<PlannedWeight, "slot" | "shape" | "parts">;
  readonly formed: FormedWeight;
}

/**
 * @param forms of each slot
 * @returns in the order in which they are to be placed: what is tied last
 */
export function formPlan(
  plan: readonly PlannedWeight[],
  forms: ReadonlyMap<string, WeightForm>,
  options: FormOptions,
): FormedWeights[] {
  const [tied, own] = [true, false].map((isTied) =>
    plan.filter(({ tiedTo }) => (tiedTo !== undefined) === isTied),
  );
  const heads = new Set(tied!.filter(({ slot }) => forms.get(slot) === "linear").map(({ tiedTo }) => tiedTo));
  const isShared = ({ slot, parts: [part, ...more] }: PlannedWeight): boolean =>
    forms.get(slot) === "embedding" &&
    heads.has(slot) &&
    more.length === 0 &&
    (isKeptTable(part!, options) ||
      (keptFormat(part!, options) === undefined &&
        matrixDtype(options.activations, part!.dtype) === part!.dtype));
  return [
    ...own!.map((weight) => ({
      weight,
      formed: isShared(weight)
        ? packedMatrix(weight, options, (weights, table) => weights.addEmbedding(weight.slot, table))
        : formWeight(weight, forms.get(weight.slot)!, options),
    })),
    ...tied!.map((weight) => {
      const values = plan.find(({ slot }) => slot === weight.tiedTo)!;
      if (isShared(values) && forms.get(weight.slot) === "linear")
        return { weight: { ...weight, parts: [] }, formed: sharedMatrix(weight) };
      const read = { ...weight, parts: values.parts };
      return { weight: read, formed: formWeight(read, forms.get(weight.slot)!, options) };
    }),
  ];
}

/** Whether rows are looked up in codes: `embedding` reads inputs as they lie. */
function isKeptTable(part: PlannedPart, options: KeptOptions): boolean {
  return part.coded?.inputOrder === undefined && keptFormat(part, options) !== undefined;
}

function formWeight(weight: PlannedWeight, form: WeightForm, options: FormOptions): FormedWeight {
  const { slot, layer, shape, parts } = weight;
  switch (form) {
    case "vector":
      return plainRows(weight, "f32", (weights, tensor) => weights.addVector(slot, layer, tensor));
    case "filters":
      return plainRows(weight, "f32", (weights, tensor) => weights.addFilters(slot, layer, tensor));
    case "expertVectors":
      return plainRows(
        weight,
        "f32",
        (weights, tensor) => weights.addExpertVectors(slot, layer, tensor),
        shape[1],
      );
    case "table":
      return plainRows(weight, parts[0]!.dtype, (weights, tensor) => weights.addTable(slot, tensor));
    case "embedding":
      if (parts.length === 1 && isKeptTable(parts[0]!, options))
        return packedMatrix(weight, options, (weights, table) => weights.addEmbedding(slot, table));
      return plainRows(weight, parts[0]!.dtype, (weights, tensor) => weights.addEmbedding(slot, tensor));
    case "linear":
    case "gatedLinear": {
      const add = (weights: ModelWeights, matrix: LinearWeight) => weights.addLinear(slot, layer, matrix);
      return packedMatrix(weight, options, add, form === "gatedLinear");
    }
    case "heads":
    case "turnedHeads":
      return headMatrices(weight, options.activations, form === "turnedHeads");
    case "experts":
    case "gatedExperts": {
      const [experts, , inputs] = shape as readonly [number, number, number];
      const stack = { experts, inputs, swiglu: form === "gatedExperts" };
      return packedRows(weight, options, stack, (weights, segments) =>
        weights.addExperts(slot, layer, new GroupedWeight(stack, segments)),
      );
    }
  }
}

function roomOf({ segment: { format }, sizes }: SegmentRoom): WeightRoom {
  return { dtype: format.dtype, shape: sizes, format };
}

/** One matrix, packed. */
function packedMatrix(
  weight: PlannedWeight,
  options: FormOptions,
  add: (weights: ModelWeights, matrix: LinearWeight) => LinearWeight,
  swiglu = false,
): FormedWeight {
  const shape = { experts: 1, inputs: weight.shape[1]!, swiglu };
  return packedRows(weight, options, shape, (weights, segments) =>
    add(weights, new LinearWeight(shape, segments)),
  );
}

/** A matrix for each head, [rows, K] as it is stored or turned. */
function headMatrices(
  { slot, layer, shape, parts }: PlannedWeight,
  activations: FloatDType,
  turned: boolean,
): FormedWeight {
  const [part] = parts;
  const [heads, rows] = viewedSizes(part!.view!) as [number, number];
  const K = shape[1]!;
  const stack = { experts: heads, inputs: turned ? rows : K, swiglu: false };
  const format = { format: "dense", dtype: matrixDtype(activations, part!.dtype) } as const;
  const plan = planSegments(stack, [{ name: part!.module, outputs: turned ? K : rows, format }]);
  return {
    rooms: plan.map(roomOf),
    whole: true,
    wants: (stored) => matrixDtype(activations, stored),
    place(tensors, weights) {
      const segments = plan.map(({ segment }, i) => new WeightSegment(segment, tensors[i]!));
      const whole = weights.addHeads(slot, layer, new GroupedWeight(stack, segments));
      return {
        put(stream, { values }) {
          for (let expert = 0; expert < heads; expert++) {
            const { memory, dtype, shape, strides, byteOffset } = values.slice(0, expert, expert + 1);
            const axes = turned ? [2, 1] : [1, 2];
            const [sizes, steps] = [axes.map((axis) => shape[axis]!), axes.map((axis) => strides[axis]!)];
            const matrix = Tensor.strided(memory, dtype, sizes, steps, byteOffset);
            packRows(stream, whole, { first: 0, matrix, expert });
          }
        },
      };
    },
  };
}

/** The matrix of an embedding that is packed: nothing of its own. */
function sharedMatrix({ slot, layer, tiedTo }: PlannedWeight): FormedWeight {
  return {
    rooms: [],
    wants: (stored) => stored,
    place(_, weights) {
      weights.addLinear(slot, layer, weights.embedding(tiedTo!) as LinearWeight);
      return { put: () => undefined };
    },
  };
}

/**
 * Rows as they are, in one dtype: [rows, K], or numbers, [rows].
 *
 * @param perExpert numbers of an expert, of [E, perExpert]; 0: without experts
 */
function plainRows(
  { shape }: PlannedWeight,
  dtype: FloatDType,
  add: (weights: ModelWeights, tensor: Tensor) => void,
  perExpert = 0,
): FormedWeight {
  return {
    rooms: [{ dtype, shape, format: { format: "dense", dtype } }],
    wants: () => dtype,
    place([tensor], weights) {
      const whole = tensor!;
      add(weights, whole);
      const all = perExpert > 0 ? whole.reshape([whole.numel]) : whole;
      const rowsAt = (expert: number, first: number, count: number): Tensor => {
        const start = expert * perExpert + first;
        return all.slice(0, start, start + count);
      };
      return {
        direct: ({ view, columns, map, expert, firstRow, rows, ...part }) =>
          part.dtype === dtype && !view && !columns && !map ? rowsAt(expert, firstRow, rows) : undefined,
        put(stream, { values, first, expert }) {
          const rows = values.numel / values.size(-1);
          const out = rowsAt(expert, first, rows).reshape(values.shape);
          cast(stream, values, dtype, { out });
        },
      };
    },
  };
}

function packedRows(
  weight: PlannedWeight,
  options: FormOptions,
  shape: ExpertsShape,
  add: (weights: ModelWeights, segments: readonly WeightSegment[]) => LinearWeight,
): FormedWeight {
  const { activations } = options;
  const places = keptPlaces(weight, options);
  const plan = [...places.values()].map(({ part, format, inputOrders }): SegmentPlan => ({
    ...{ name: part.module, outputs: part.rows, inputOrders },
    format: format ?? { format: "dense", dtype: matrixDtype(activations, part.dtype) },
  }));
  const segments = planSegments(shape, plan);
  const orders = distinctOrders(segments);
  const { experts, inputs } = shape;
  return {
    rooms: [
      ...segments.map(roomOf),
      ...orders.map((): WeightRoom => ({ dtype: "i32", shape: [experts, inputs], format: undefined })),
    ],
    keeps: ({ firstRow }) => places.get(firstRow)!.format !== undefined,
    wants: (stored) => matrixDtype(activations, stored),
    place(tensors, weights, loader) {
      const indices = tensors.slice(segments.length);
      for (const [i, order] of orders.entries()) indices[i]!.write(loader, orderIndices(order, inputs));
      const packed = segments.map(({ segment }, i) => {
        const order = orders.findIndex((other) => isSameOrders(other, segment.inputOrders));
        return new WeightSegment(segment, tensors[i]!, indices[order]);
      });
      const whole = add(weights, packed);
      return {
        put: (stream, { values, first, expert }) =>
          packRows(stream, whole, { first, matrix: values, expert }),
        putStored: (stream, { stored, first, expert }) =>
          packStored(stream, stored, whole, { first, expert }),
      };
    },
  };
}
