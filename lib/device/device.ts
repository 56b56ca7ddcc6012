/**
 * A device: memory and streams. `cpu` is always there, `cuda:0` and so on where a driver and a GPU answer and the addon was
 * built for them.
 */
import { checkSizes, describe, readOptions } from "../arguments.js";
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import { ArgumentRangeError, ArgumentTypeError, ClosedError, DeviceError } from "../errors.js";
import { byteLength, checkDType, type DType, type FloatDType } from "./dtype.js";
import { type Handle, native } from "./native.js";
import { Stream } from "./stream.js";
import { Memory, Tensor } from "./tensor.js";

/** "cuda" is "cuda:0". */
export type DeviceName = "cpu" | "cuda" | `cuda:${number}`;

/** Most threads of the CPU device. */
export const maxThreads = 1024;

export interface DeviceOptions {
  /** Threads of the CPU device, 1 to 1024. Default: one per physical core that this process may use. */
  readonly threads?: number | undefined;
}

/** What "auto" means on this machine, and why. */
export type DeviceKind = "cpu" | "cuda";

export interface DeviceChoice {
  readonly name: DeviceName;
  readonly reason: string;
}

export class Device {
  readonly #handle: Handle;
  readonly #streams = new Set<Stream>();
  readonly #memory = new Set<Memory>();
  #disposed = false;
  /** "cpu", "cuda:0" */
  readonly name: string;
  /** What computes. */
  readonly kind: DeviceKind;
  /** Name of the hardware, for example "NVIDIA H200"; empty for the CPU. */
  readonly model: string;
  /**
   * Whether a request has the same bits in whatever chunks its tokens run, and whatever runs beside them: the promise of the CPU. A GPU's
   * ops choose by the sizes of a step (docs/architecture.md, "Numerics").
   */
  readonly chunksKeepBits: boolean;
  /** Threads of the CPU device; 0 for a GPU. */
  readonly threads: number;
  /** Multiprocessors of a GPU; 0 for the CPU. */
  readonly processors: number;
  /** The instruction set that the kernels use, for example "avx512" or "sm_90". */
  readonly isa: string;
  /** Dtypes whose matrix products the hardware computes. */
  readonly fastDtypes: readonly FloatDType[];
  /** Formats of weights that its products take, of `weightFormats` in lib/ops/weightFormat.ts. */
  readonly weightFormats: readonly string[];
  /** Whether products with codes can make bytes of their activations first (`activation: "int8"` of a format). */
  readonly takesInt8: boolean;

  private constructor(key: ConstructKey, handle: Handle) {
    requireKey(key, "Device", 'Device.open("auto")');
    this.#handle = handle;
    const info = native.deviceInfo(handle);
    this.name = info.name;
    this.model = info.model;
    this.threads = info.threads;
    this.processors = info.processors;
    this.kind = info.processors > 0 ? "cuda" : "cpu"; // the emulated GPU of the tests runs CUDA sources, too
    this.chunksKeepBits = this.kind === "cpu";
    this.isa = info.isa;
    this.fastDtypes = info.fastDtypes;
    this.weightFormats = info.weightFormats;
    this.takesInt8 = info.takesInt8;
  }

  /**
   * Opens a device.
   *
   * @param name "cpu", "cuda" or "cuda:N", or "auto": see `Device.choose`
   * @throws ArgumentRangeError for an unknown device or a bad thread count; DeviceError when the device does not answer,
   * with the reason
   */
  static open(name: DeviceName | "auto" = "auto", options: DeviceOptions = {}): Device {
    checkDeviceName(name);
    const threads = threadsOf(options);
    const chosen = name === "auto" ? Device.choose().name : name;
    if (chosen !== "cpu" && native.devices().every((entry) => entry.name === "cpu")) {
      throw new DeviceError(
        `device: "${chosen}" is not in this build of warploop, which has the CPU device alone: ` +
          "`npx warploop build --cuda` adds it (it needs nvcc of CUDA 13), `npx warploop doctor` says what there is",
      );
    }
    return new Device(constructKey, native.openDevice(chosen, threads));
  }

  /** Names that `open` takes on this machine, the best one first. */
  static available(): readonly DeviceName[] {
    const usable = native.devices().filter(({ problem }) => problem === "");
    return usable.map(({ name }) => name as DeviceName);
  }

  /** What `open("auto")` opens: the first GPU that can be used, else the CPU. */
  static choose(): DeviceChoice {
    const entries = native.devices();
    const best = entries.find(({ problem }) => problem === "") ?? entries[0]!;
    const name = best.name as DeviceName;
    if (name !== "cpu") return { name, reason: best.detail };
    const refused = entries.find((entry) => entry !== best && entry.problem !== "");
    return { name, reason: refused?.problem ?? "the addon was built without CUDA" };
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** Bytes of the device's memory: of the GPU, or of the machine. */
  get memory(): { readonly free: number; readonly total: number } {
    this.#requireOpen();
    return native.deviceMemory(this.#handle);
  }

  /** @throws OutOfMemoryError */
  createStream(): Stream {
    this.#requireOpen();
    const stream = Stream.create(this, native.createStream(this.#handle), () => this.#streams.delete(stream));
    this.#streams.add(stream);
    return stream;
  }

  /** A tensor that owns its memory, uninitialised. @throws OutOfMemoryError */
  empty(dtype: DType, shape: readonly number[]): Tensor {
    return Tensor.packed(this.allocate(bytesOf(dtype, shape)), dtype, shape);
  }

  /** Raw memory. @throws ArgumentTypeError, ArgumentRangeError for what is no number of bytes; OutOfMemoryError */
  allocate(bytes: number): Memory {
    this.#requireOpen();
    if (!(Number.isSafeInteger(bytes) && bytes >= 0)) {
      const message = `allocate: bytes: expected a whole number of bytes, got ${describe(bytes)}`;
      throw typeof bytes === "number" ? new ArgumentRangeError(message) : new ArgumentTypeError(message);
    }
    const memory = Memory.create(this, native.allocate(this.#handle, bytes), bytes, (ended) =>
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

  /** What console.log shows. */
  toString(): string {
    const hardware =
      this.kind === "cpu" ? `${this.isa}, ${this.threads} threads` : `${this.model}, ${this.isa}`;
    return `Device ${this.name} (${hardware})${this.#disposed ? ", closed" : ""}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #requireOpen(): void {
    if (this.#disposed) throw new ClosedError("device");
  }
}
printsAsText(Device);

/** @returns 0 for the default */
function threadsOf(options: DeviceOptions): number {
  const { threads } = readOptions("Device.open", options, ["threads"]);
  if (threads === undefined) return 0;
  if (Number.isInteger(threads) && threads >= 1 && threads <= maxThreads) return threads;
  throw new ArgumentRangeError(
    `threads: expected an integer from 1 to ${maxThreads}, got ${describe(threads)}`,
  );
}

/** @throws ArgumentRangeError for a name that no build of warploop has */
export function checkDeviceName(name: unknown): DeviceName | "auto" {
  const known = typeof name === "string" && /^(auto|cpu|simt|cuda(:\d{1,3})?)$/.test(name); // simt: only test builds
  if (known) return name as DeviceName | "auto";
  throw new ArgumentRangeError(`device: expected "auto", "cpu", "cuda" or "cuda:N", got ${describe(name)}`);
}

/** Bytes of a packed tensor. @throws ArgumentTypeError, ArgumentRangeError for a dtype or shape that is none */
export function bytesOf(dtype: DType, shape: readonly number[]): number {
  return byteLength(checkDType("tensor", dtype), elements(shape));
}

/** Elements of a shape. @throws ArgumentTypeError for what is no list; ArgumentRangeError for sizes of no tensor */
export function elements(shape: readonly number[]): number {
  const sizes = checkSizes("shape", shape);
  let product = 1;
  for (const size of sizes) product *= size;
  if (sizes.length > 4 || !Number.isSafeInteger(product)) {
    throw new ArgumentRangeError(`shape: [${sizes}] has too many axes or elements`);
  }
  return product;
}
