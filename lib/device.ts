/**
 * A device: memory and streams. `cpu` is always there.
 */
import { byteLength, type DType } from "./dtype.js";
import { ArgumentRangeError, ArgumentTypeError, ClosedError } from "./errors.js";
import { allocate, type Handle, native } from "./native.js";
import { Stream } from "./stream.js";
import { Memory, Tensor } from "./tensor.js";

export interface DeviceOptions {
  /** Threads of the CPU device. Default: one per physical core that this process may use. */
  readonly threads?: number;
}

export class Device {
  readonly #handle: Handle;
  readonly #streams = new Set<Stream>();
  readonly #memory = new Set<Memory>();
  #disposed = false;
  /** "cpu" */
  readonly name: string;
  /** Threads that compute. */
  readonly threads: number;
  /** The instruction set that the kernels use, for example "avx512". */
  readonly isa: string;

  private constructor(handle: Handle) {
    this.#handle = handle;
    const info = native.deviceInfo(handle);
    this.name = info.name;
    this.threads = info.threads;
    this.isa = info.isa;
  }

  /**
   * Opens a device.
   *
   * @param name "cpu", or "auto" for the best device of this machine (this release has the CPU device only)
   * @throws ArgumentTypeError for an unknown device, ArgumentRangeError for a bad thread count
   */
  static open(name: "cpu" | "auto" = "auto", options: DeviceOptions = {}): Device {
    if (!["cpu", "auto"].includes(name)) {
      throw new ArgumentTypeError(`device: expected "cpu" or "auto", got ${JSON.stringify(name)}`);
    }
    const { threads = 0 } = options;
    if (options.threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
      throw new ArgumentRangeError(`threads: expected an integer from 1 to 1024, got ${threads}`);
    }
    return new Device(native.openDevice("cpu", threads));
  }

  /** Names that `open` takes on this machine. */
  static available(): readonly string[] {
    return ["cpu"];
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  createStream(): Stream {
    this.#requireOpen();
    const stream = new Stream(this, native.createStream(this.#handle), () => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  /** A tensor that owns its memory, uninitialised. @throws OutOfMemoryError */
  empty(dtype: DType, shape: readonly number[]): Tensor {
    return Tensor.packed(this.allocate(byteLength(dtype, elements(shape))), dtype, shape);
  }

  /** Raw memory. @throws OutOfMemoryError */
  allocate(bytes: number): Memory {
    this.#requireOpen();
    const memory = new Memory(this, allocate(this.#handle, bytes), bytes, (ended) =>
      this.#memory.delete(ended),
    );
    this.#memory.add(memory);
    return memory;
  }

  /** Disposes the streams and then the device. Tensors of this device end with it. Idempotent. */
  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    await Promise.all([...this.#streams].map((stream) => stream.dispose()));
    for (const memory of [...this.#memory]) memory.dispose();
    native.closeDevice(this.#handle);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #requireOpen(): void {
    if (this.#disposed) throw new ClosedError("device");
  }
}

/** Elements of a shape. @throws ArgumentRangeError for sizes that are not whole numbers >= 0, or more than 4 axes */
export function elements(shape: readonly number[]): number {
  let product = 1;
  for (const size of shape) {
    if (!(Number.isSafeInteger(size) && size >= 0)) {
      throw new ArgumentRangeError(`shape: expected whole numbers >= 0, got [${shape}]`);
    }
    product *= size;
  }
  if (shape.length > 4 || !Number.isSafeInteger(product)) {
    throw new ArgumentRangeError(`shape: [${shape}] has too many axes or elements`);
  }
  return product;
}
