/**
 * Tensors whose rows lie further apart than 32 bits count: the last of them begins beyond 2^32 elements, one in the middle
 * beyond 2^31. They cost what is written, in pages; the rest is address space. The same tensors with their rows close together
 * but aligned alike run the same kernel, so an op has to give the same bits: no reference is needed.
 */
import { byteLength, type DType, type HostArray } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import { packedStrides, Tensor } from "../../lib/device/tensor.js";
import type { Device } from "../../lib/device/device.js";
import { toStorage, type FloatDType } from "./dtype.js";
import type { Random } from "./random.js";

// The emulated GPU's memory, asked at each allocation. A test file is a process of its own: it is for all of its tests.
process.env["WARPLOOP_SIMT_MEMORY"] = String(2 ** 43);

export interface Spread {
  /** The axis that is stretched, not the last. Tensors that do not have it, or only one index on it, are contiguous. */
  readonly axis: number;
  readonly far: boolean;
  /** Rows begin at odd elements: the kernels without vectors. */
  readonly odd?: boolean;
}

export class FarTensors {
  readonly #owned: Tensor[] = [];

  constructor(
    readonly stream: Stream,
    readonly random: Random,
    readonly spread: Spread,
  ) {}

  get device(): Device {
    return this.stream.device;
  }

  /** A tensor without contents. */
  empty(dtype: DType, shape: readonly number[]): Tensor {
    const strides = spreadStrides(shape, this.spread);
    const span = 1 + shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0);
    const whole = this.device.empty(dtype, [span]);
    this.#owned.push(whole);
    return Tensor.strided(whole.memory, dtype, shape, strides);
  }

  /** Normal values. */
  normal(dtype: FloatDType, shape: readonly number[]): Tensor {
    return this.fill(this.empty(dtype, shape), (count) =>
      toStorage(dtype, this.random.normal(count, { dtype })),
    );
  }

  /** Codes of all kinds. */
  codes(dtype: "i8" | "fp8e4m3", shape: readonly number[]): Tensor {
    const ArrayType = dtype === "i8" ? Int8Array : Uint8Array;
    return this.fill(this.empty(dtype, shape), (count) => ArrayType.from(this.random.tokenIds(count, 256)));
  }

  integers(shape: readonly number[], values: ArrayLike<number>): Tensor {
    let next = 0;
    return this.fill(this.empty("i32", shape), (count) =>
      Int32Array.from({ length: count }, () => values[next++]!),
    );
  }

  /** Writes every row of a tensor. */
  fill(tensor: Tensor, row: (count: number) => HostArray): Tensor {
    for (const each of rowsOf(tensor)) each.write(this.stream, row(tensor.size(-1)));
    return tensor;
  }

  /** The stored bits, row by row. */
  async read(tensor: Tensor): Promise<number[]> {
    const rows = await Promise.all(rowsOf(tensor).map((row) => row.read(this.stream)));
    return rows.flatMap((row) => Array.from(row));
  }

  /** To be disposed of with the rest. */
  own(tensor: Tensor): Tensor {
    this.#owned.push(tensor);
    return tensor;
  }

  dispose(): void {
    for (const tensor of this.#owned) tensor.dispose();
  }
}

/** The stretched axis is the outermost in memory, the others are as in a contiguous tensor with padded rows. */
function spreadStrides(shape: readonly number[], { axis, far, odd = false }: Spread): number[] {
  if (axis >= shape.length - 1 || shape[axis]! < 2) return packedStrides(shape);
  const strides = new Array<number>(shape.length).fill(1);
  let next = Math.ceil((shape.at(-1)! + 8) / 8) * 8 + (odd ? 3 : 0);
  for (let i = shape.length - 2; i >= 0; i--) {
    if (i === axis) continue;
    strides[i] = next;
    next *= shape[i]!;
  }
  const apart = far ? 2 ** 32 / (shape[axis]! - 1) : next;
  strides[axis] = Math.ceil(Math.max(apart, next) / 64) * 64 + 64 + (odd ? 1 : 0);
  return strides;
}

function rowsOf({ memory, dtype, shape, strides, byteOffset }: Tensor): Tensor[] {
  const bytes = byteLength(dtype, 1);
  let offsets = [0];
  for (const [axis, size] of shape.slice(0, -1).entries()) {
    offsets = offsets.flatMap((offset) =>
      Array.from({ length: size }, (_, i) => offset + i * strides[axis]!),
    );
  }
  return offsets.map((offset) => Tensor.packed(memory, dtype, [shape.at(-1)!], byteOffset + offset * bytes));
}
