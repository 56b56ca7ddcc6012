/**
 * Rows of a weight that lie in one format, and how rows of several sources become such segments.
 */
import { isDeepStrictEqual } from "node:util";
import type { Device } from "../device/device.js";
import type { Tensor } from "../device/tensor.js";
import { formatNumbers, type WeightFormat } from "./weightFormat.js";

/** Rows of a weight that lie in one format. */
export class WeightSegment {
  /** The modules of the checkpoint whose rows these are, "q_proj+k_proj"; "weight" of one that has no name. */
  readonly name: string;
  /** Rows; of each expert in a stack. */
  readonly outputs: number;
  /** Inputs K. */
  readonly inputs: number;
  readonly format: WeightFormat;
  /** Rows are gate, then up, and lie so that one launch gives silu(gate) * up. */
  readonly swiglu: boolean;
  /** [E, ...]: axis 0 are the experts, and what the rest means only the addon knows. */
  readonly data: Tensor;
  /** [E, K] i32: which column of x each input meets. Undefined: they lie in the order of x. */
  readonly inputOrder: Tensor | undefined;
  readonly #numbers: ReturnType<typeof formatNumbers>;

  constructor(
    { name, outputs, inputs, format, swiglu }: SegmentShape,
    data: Tensor,
    inputOrder?: Tensor | undefined,
  ) {
    this.name = name;
    this.outputs = outputs;
    this.inputs = inputs;
    this.format = format;
    this.swiglu = swiglu;
    this.data = data;
    this.inputOrder = inputOrder;
    this.#numbers = formatNumbers(format);
  }

  get device(): Device {
    return this.data.device;
  }

  /** Writes the segment as op arguments (native/bind/arguments.h reads them); returns the next free index. @internal */
  encode(out: Float64Array, at: number): number {
    const [format, group, scale, offset, activation] = this.#numbers;
    out[at] = format;
    out[at + 1] = this.outputs;
    out[at + 2] = this.inputs;
    out[at + 3] = this.swiglu ? 1 : 0;
    out[at + 4] = group;
    out[at + 5] = scale;
    out[at + 6] = offset;
    out[at + 7] = activation;
    return this.data.encode(out, at + 8);
  }

  /** The same of experts [first, end), in the same memory. */
  slice(first: number, end: number): WeightSegment {
    return new WeightSegment(this, this.data.slice(0, first, end), this.inputOrder?.slice(0, first, end));
  }

  /** The same of one expert. */
  expert(index: number): WeightSegment {
    return this.slice(index, index + 1);
  }
}

/** A segment without its memory. */
export type SegmentShape = Pick<WeightSegment, "name" | "outputs" | "inputs" | "format" | "swiglu">;

/** Rows of one source: a part of a segment, or all of it. */
export interface SegmentPlan {
  readonly name: string;
  readonly outputs: number;
  readonly format: WeightFormat;
  /** For each expert where its inputs stand in x, undefined: as they lie; equal ones are one object. Left out: so have all. */
  readonly inputOrders?: InputOrders | undefined;
}

/** Of each expert the column of x that each input meets; undefined: the one of its own place. */
export type InputOrders = readonly (Int32Array | undefined)[];

export function isSameOrders(one: InputOrders | undefined, other: InputOrders | undefined): boolean {
  if (!one || !other) return one === other;
  return one.every((order, expert) => order === other[expert]);
}

/** Makes one segment of neighbours of one format and one order of inputs: one launch of `linear`. */
export function fuseEqualNeighbours(parts: readonly SegmentPlan[]): SegmentPlan[] {
  const fused: SegmentPlan[] = [];
  for (const part of parts) {
    const last = fused.at(-1);
    const isAlike =
      last && isSameOrders(last.inputOrders, part.inputOrders) && isDeepStrictEqual(last.format, part.format);
    if (isAlike) {
      const name = `${last.name}+${part.name}`;
      fused[fused.length - 1] = { ...last, name, outputs: last.outputs + part.outputs };
    } else {
      fused.push(part);
    }
  }
  return fused;
}
