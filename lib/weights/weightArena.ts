/**
 * The memory of a model's weights: one allocation, whose size is known from the plan before anything is read. It owns the memory
 * and gives it out front to back; nothing is given back before the end.
 */
import type { DType } from "../device/dtype.js";
import { bytesOf, type Device } from "../device/device.js";
import { type Memory, Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import type { WeightFormat } from "../ops/weightFormat.js";

/** Bytes between the starts of tensors: a CUDA transaction, four CPU cache lines. */
const alignment = 256;

/** A tensor that needs memory. */
export interface Room {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Memory of a weight. */
export interface WeightRoom extends Room {
  /** What it is kept in; undefined: not numbers, but the order of their inputs. */
  readonly format: WeightFormat | undefined;
}

/** Bytes that a tensor takes in an arena. */
export function roomBytes(dtype: DType, shape: readonly number[]): number {
  return Math.ceil(bytesOf(dtype, shape) / alignment) * alignment;
}

export class WeightArena {
  readonly memory: Memory;
  #used = 0;

  /**
   * @param rooms all that will be asked for
   * @throws OutOfMemoryError
   */
  constructor(device: Device, rooms: Iterable<Room>) {
    let bytes = 0;
    for (const room of rooms) bytes += roomBytes(room.dtype, room.shape);
    this.memory = device.allocate(bytes);
  }

  /** @throws ArgumentRangeError for more than was planned */
  take(room: Room): Tensor {
    const start = this.#used;
    this.#used += roomBytes(room.dtype, room.shape);
    if (this.#used > this.memory.bytes)
      throw new ArgumentRangeError(`weights: ${this.#used} bytes of ${this.memory.bytes} planned ones`);
    const lent = this.memory.lend(this.memory); // the end of one tensor is not that of all
    return Tensor.packed(lent, room.dtype, room.shape, start);
  }
}
