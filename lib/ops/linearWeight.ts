/**
 * Weights as `linear` and `groupedLinear` read them: segments of rows, each in a format of its own. How a format lies in memory
 * only the addon knows (native/formats/).
 */
import { printsAsText } from "../construct.js";
import type { Device } from "../device/device.js";
import { dtypeNumber } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import { formatNumbers, formatText } from "./weightFormat.js";
import { fuseEqualNeighbours, type SegmentPlan, type SegmentShape, WeightSegment } from "./weightSegment.js";

export type {
  ActivationType,
  DenseFormat,
  OffsetType,
  QuantizedFormat,
  ScaleType,
  WeightFormat,
  WeightFormatName,
} from "./weightFormat.js";
export {
  fuseEqualNeighbours,
  type InputOrders,
  isSameOrders,
  type SegmentPlan,
  type SegmentShape,
  WeightSegment,
} from "./weightSegment.js";

/** A matrix [N, K] as segments of its rows. That of `packLinear` owns their memory; those of a model end with it. */
export class LinearWeight implements Disposable {
  readonly segments: readonly WeightSegment[];
  /** Rows N; of gate and up both. */
  readonly outputs: number;
  /** Inputs K. */
  readonly inputs: number;
  /** Rows are gate (N/2), then up (N/2), and a product gives silu(gate) * up. */
  readonly swiglu: boolean;
  /** A segment has its inputs in another order than x. */
  readonly isReordered: boolean;

  /** @param segments of one device, at least one */
  constructor({ inputs, swiglu }: MatrixShape, segments: readonly WeightSegment[]) {
    this.segments = segments;
    this.inputs = inputs;
    this.swiglu = swiglu;
    this.outputs = segments.reduce((sum, { outputs }) => sum + outputs, 0);
    this.isReordered = segments.some(({ inputOrder }) => inputOrder !== undefined);
  }

  /** Whether gate and up lie in one segment: one launch gives silu(gate) * up. */
  get isFused(): boolean {
    return this.swiglu && this.segments.length === 1;
  }

  /** Columns of a product with it. */
  get columns(): number {
    return this.swiglu ? this.outputs / 2 : this.outputs;
  }

  /** True for weights alone, and never runs code of `value`. @internal */
  static is(value: unknown): value is LinearWeight {
    return typeof value === "object" && value !== null && #isOpen in value;
  }

  /** True for a weight whose memory has not been disposed. @internal */
  static isOpen(value: unknown): value is LinearWeight {
    return LinearWeight.is(value) && value.#isOpen();
  }

  #isOpen(): boolean {
    const { segments } = this; // by index: this is in the way of every op call
    for (let i = 0; i < segments.length; i++) {
      const { data, inputOrder } = segments[i]!;
      if (data.memory.disposed || inputOrder?.memory.disposed) return false;
    }
    return true;
  }

  /**
   * The part of a tensor along the rows that belongs to one segment. The last segment takes all that is left, so that a
   * tensor of another size than N is refused where it is used.
   * @internal
   */
  ofSegment<T extends Tensor | null>(index: number, all: T, axis: number): T {
    if (all === null || this.segments.length === 1) return all;
    let start = 0;
    for (let i = 0; i < index; i++) start += this.segments[i]!.outputs;
    const isLast = index === this.segments.length - 1;
    return all.slice(axis, start, isLast ? all.size(axis) : start + this.segments[index]!.outputs) as T;
  }

  /** Ends its memory once every stream has passed this point. Idempotent. */
  dispose(): void {
    for (const { data, inputOrder } of this.segments) {
      data.dispose();
      inputOrder?.dispose();
    }
  }

  /** What console.log shows: never the numbers. */
  toString(): string {
    const segments = this.segments.map(({ name, format }) => `${name} ${formatText(format)}`);
    return `${this.constructor.name} [${this.outputs}, ${this.inputs}]: ${segments.join(", ")}`;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
printsAsText(LinearWeight);

/** E matrices [N, K] of one shape and with the same segments. */
export class GroupedWeight extends LinearWeight {
  /** E */
  readonly experts: number;

  /** @param segments of one device: one, or gate and up by themselves */
  constructor(shape: ExpertsShape, segments: readonly WeightSegment[]) {
    super(shape, segments);
    this.experts = shape.experts;
  }

  /** Matrices [first, end), in the same memory. */
  slice(first: number, end: number): GroupedWeight {
    const { inputs, swiglu } = this;
    const segments = this.segments.map((one) => one.slice(first, end));
    return new GroupedWeight({ inputs, swiglu, experts: end - first }, segments);
  }

  /** True for stacks alone, and never runs code of `value`. @internal */
  static isGrouped(value: LinearWeight): value is GroupedWeight {
    return value instanceof GroupedWeight;
  }
}

export interface MatrixShape {
  /** Inputs K. */
  readonly inputs: number;
  /** Rows are gate, then up. */
  readonly swiglu: boolean;
}

export interface ExpertsShape extends MatrixShape {
  readonly experts: number;
}

/** A segment, and the shape of the tensor that it needs. */
export interface SegmentRoom {
  readonly segment: SegmentShape & Pick<SegmentPlan, "inputOrders">;
  readonly sizes: readonly number[];
}

/**
 * The segments of a weight with these rows. Neighbours of one format are one; with swiglu, gate and up of one format take turns, so
 * that one launch gives silu(gate) * up.
 */
export function planSegments(shape: ExpertsShape, parts: readonly SegmentPlan[]): SegmentRoom[] {
  const fused = fuseEqualNeighbours(parts);
  const swiglu = shape.swiglu && fused.length === 1;
  const { experts, inputs } = shape;
  return fused.map((plan) => {
    const [format, ...numbers] = formatNumbers(plan.format);
    const sizes = [experts, plan.outputs, inputs, swiglu] as const;
    const dtype = dtypeNumber(plan.format.dtype);
    return {
      segment: { ...plan, inputs, swiglu },
      sizes: native.packedShape(format, dtype, ...sizes, ...numbers),
    };
  });
}

/** The segments of a weight, each with memory of its own; `packRows` fills them. */
export function emptySegments(
  device: Device,
  shape: ExpertsShape,
  parts: readonly SegmentPlan[],
): WeightSegment[] {
  const segments: WeightSegment[] = [];
  try {
    for (const { segment, sizes } of planSegments(shape, parts))
      segments.push(new WeightSegment(segment, device.empty(segment.format.dtype, sizes)));
  } catch (error) {
    for (const { data } of segments) data.dispose();
    throw error;
  }
  return segments;
}

export interface PackedRows {
  /** The first of them in the whole weight. They lie in one segment. */
  readonly first: number;
  /** [n, K], or more axes whose outer ones count the rows; any strides; in the dtype of their segment */
  readonly matrix: Tensor;
  /** Of a stack. */
  readonly expert?: number;
}

/**
 * Of a weight that is read by rows, or by heads.
 *
 * @throws ArgumentRangeError if its inputs lie in another order than those of x
 */
export function requireInputsInOrder(argument: string, { isReordered }: LinearWeight): void {
  if (isReordered)
    throw new ArgumentRangeError(`${argument}: expected inputs in their order, got another one`);
}

/** Packs rows of a weight into their place. */
export function packRows(stream: Stream, weight: LinearWeight, rows: PackedRows): void {
  const { matrix, expert = 0 } = rows;
  const { segment, first } = segmentOfRow(weight, rows.first);
  stream.run(native.ops.packLinear, matrix, segment.expert(expert), first);
}

/** The segment that a row of a weight lies in, and where in it. */
export function segmentOfRow(
  weight: LinearWeight,
  row: number,
): { readonly segment: WeightSegment; readonly first: number } {
  let first = row;
  let at = 0;
  while (at + 1 < weight.segments.length && first >= weight.segments[at]!.outputs)
    first -= weight.segments[at++]!.outputs;
  return { segment: weight.segments[at]!, first };
}
