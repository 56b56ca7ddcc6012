/**
 * Rows of a weight as a checkpoint stores them: codes with their scales, zero points and orders. What the bytes mean only the addon
 * knows (native/formats/stored.h).
 */
import { printsAsText } from "../construct.js";
import type { Device } from "../device/device.js";
import type { Tensor } from "../device/tensor.js";

/** The order of WARPLOOP_STORED_FORMATS in native/formats/stored_view.h; the numbers cross the boundary. */
export const storedFormats = [
  "int8",
  "fp8",
  "packed4",
  "packed8",
  "gptq4",
  "gptq8",
  "awq4",
  "mxfp4",
  "q8_0",
  "q4_0",
  "q4_1",
  "q5_0",
  "q5_1",
  "q4_k",
  "q5_k",
  "q6_k",
  "mxfp4_gguf",
] as const;
export type StoredFormat = (typeof storedFormats)[number];
const numbers = Object.fromEntries(storedFormats.map((name, index) => [name, index])) as Record<
  StoredFormat,
  number
>;

/** Inputs of a group, where the format says how many. */
const groupOf: Partial<Readonly<Record<StoredFormat, number>>> = {
  ...{ mxfp4: 32, q8_0: 32, q4_0: 32, q4_1: 32, q5_0: 32, q5_1: 32 },
  ...{ q4_k: 32, q5_k: 32, q6_k: 16, mxfp4_gguf: 32 },
};

/** A stored matrix [N, K], and which part of it is meant. */
export interface StoredShape {
  readonly format: StoredFormat;
  /** Rows N of the stored matrix. */
  readonly outputs: number;
  /** Inputs K of the stored matrix. */
  readonly inputs: number;
  /** Inputs that share a scale; 0: all of a row, which is the default. Formats that say it themselves need none. */
  readonly group?: number | undefined;
  /** Stored rows that share a scale: 128 of fp8 in blocks, N of one scale for all. Default 1. */
  readonly scaleRows?: number | undefined;
  /** The stored row that `codes` begins with. Default 0. */
  readonly firstRow?: number | undefined;
  /** How many rows are meant; the first of `codes`, or those of `rowOrder`. Default N. */
  readonly rows?: number | undefined;
  /** The first input that is meant, counted in `kOrder` if there is one. Default 0. */
  readonly firstInput?: number | undefined;
  /** How many inputs are meant. Default: those from `firstInput` on. */
  readonly numInputs?: number | undefined;
  /** 1 of gptq4 and gptq8 in version 1, which stores zero points less 1. Default 0. */
  readonly addToZeros?: number | undefined;
}

export interface StoredTensors {
  /** Bytes as in the file, contiguous, of stored rows from `firstRow` on; u8, i8, i32 or fp8e4m3 */
  readonly codes: Tensor;
  /** [ceil(N / scaleRows), groups], of gptq4, gptq8 and awq4 [groups, N]; f32 | f16 | bf16, of mxfp4 u8. None of GGUF formats. */
  readonly scales?: Tensor | undefined;
  /** i32 words as in the file; of int8 i8, one for each scale. Without it codes are symmetric. */
  readonly zeros?: Tensor | undefined;
  /** [rows] i32: the stored row of each row. */
  readonly rowOrder?: Tensor | undefined;
  /** [K] i32: the stored input of each input. */
  readonly kOrder?: Tensor | undefined;
  /** [K] i32: the group of each stored input. Without it groups are neighbours. */
  readonly gIdx?: Tensor | undefined;
}

export class StoredRows {
  readonly format: StoredFormat;
  /** How many rows are meant. */
  readonly rows: number;
  /** How many inputs are meant. */
  readonly inputs: number;
  readonly #numbers: readonly number[];
  readonly #tensors: readonly (Tensor | undefined)[];

  constructor(shape: StoredShape, tensors: StoredTensors) {
    const { format, outputs: N, inputs: K, scaleRows = 1, firstRow = 0, firstInput = 0 } = shape;
    const { rows = N, numInputs = K - firstInput, addToZeros = 0 } = shape;
    const group = shape.group ?? groupOf[format] ?? 0;
    this.format = format;
    this.rows = rows;
    this.inputs = numInputs;
    const sizes = [N, K, group, scaleRows, firstRow, rows, firstInput, numInputs];
    this.#numbers = [numbers[format], ...sizes, addToZeros];
    const { codes, scales, zeros, rowOrder, kOrder, gIdx } = tensors;
    this.#tensors = [codes, scales, zeros, rowOrder, kOrder, gIdx];
  }

  get device(): Device {
    return this.codes.device;
  }

  get codes(): Tensor {
    return this.#tensors[0]!;
  }

  get scales(): Tensor | undefined {
    return this.#tensors[1];
  }

  /** True for stored rows alone, and never runs code of `value`. @internal */
  static is(value: unknown): value is StoredRows {
    return typeof value === "object" && value !== null && #tensors in value;
  }

  /** True for rows whose memory has not been disposed. @internal */
  static isOpen(value: unknown): value is StoredRows {
    return StoredRows.is(value) && value.#tensors.every((tensor) => !tensor?.memory.disposed);
  }

  /** Writes the rows as op arguments (native/bind/arguments.h reads them); returns the next free index. @internal */
  encode(out: Float64Array, at: number): number {
    out.set(this.#numbers, at);
    at += this.#numbers.length;
    for (const tensor of this.#tensors) {
      if (tensor) at = tensor.encode(out, at);
      else out[at++] = -1;
    }
    return at;
  }

  /** What console.log shows: never the numbers. */
  toString(): string {
    return `StoredRows [${this.rows}, ${this.inputs}] ${this.format}`;
  }
}
printsAsText(StoredRows);
