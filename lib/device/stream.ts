/**
 * An in-order queue of commands on a device. Op calls return at once; `synchronize` and `Tensor.read` wait.
 *
 * Errors: bad arguments throw from the op call. A failure while running poisons the stream: later commands are skipped
 * and every wait rejects with the first failure (ExecutionError).
 */
import { checkBoolean, describe, readArguments, readOptions } from "../arguments.js";
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import { ArgumentTypeError, ClosedError } from "../errors.js";
import type { Device } from "./device.js";
import type { DType, HostArray } from "./dtype.js";
import { Graph } from "./graph.js";
import { abandonWaiters, type ArgumentKind, type Handle, native, type NativeOp, settle } from "./native.js";
import { Results } from "./results.js";
import { Arena, type Scope } from "./scope.js";
import { otherDevice } from "./streamHandle.js";
import type { Tensor } from "./tensor.js";
import { Trace, type TraceOptions } from "./trace.js";

/** What knows how it stands among the arguments of an op. */
type Encoded = Pick<Tensor, "device" | "encode">;

interface ArgumentTypes {
  readonly tensor: Tensor;
  readonly weight: Encoded;
  readonly "weight or null": Encoded | null;
  readonly "stored rows": Encoded;
  readonly "tensor or null": Tensor | null;
  readonly number: number;
  readonly flag: boolean;
}

/** The arguments of an op call, in the order in which the op's bind function reads them. @internal */
export type OpArguments<Kinds extends readonly ArgumentKind[]> = {
  readonly [I in keyof Kinds]: ArgumentTypes[Kinds[I]];
};

export class Stream {
  readonly device: Device;
  /** Of the ops that are running on it. @internal */
  readonly results = new Results();
  readonly #handle: Handle;
  readonly #arena: Arena;
  readonly #onDispose: () => void;
  #disposed = false;
  /** Where `progress` has stopped, once there is no native stream any more. */
  #lastProgress: number | undefined;

  private constructor(key: ConstructKey, device: Device, handle: Handle, onDispose: () => void) {
    requireKey(key, "Stream", "device.createStream()");
    this.device = device;
    this.#handle = handle;
    this.#arena = new Arena(device);
    this.#onDispose = onDispose;
  }

  /** For `device.createStream()`. @internal */
  static create(device: Device, handle: Handle, onDispose: () => void): Stream {
    return new Stream(constructKey, device, handle, onDispose);
  }

  /** True for streams alone, and never runs code of `value`. @internal */
  static is(value: unknown): value is Stream {
    return typeof value === "object" && value !== null && #handle in value;
  }

  /** True for a stream that has not been disposed. @internal */
  static isOpen(value: unknown): value is Stream {
    return Stream.is(value) && !value.#disposed;
  }

  /** The native handle. @throws ClosedError after dispose @internal */
  get handle(): Handle {
    if (this.#disposed) throw new ClosedError("stream");
    return this.#handle;
  }

  /** A count that grows while commands go on, and stands still while one does not end. Never waits. @internal */
  get progress(): number {
    return this.#lastProgress ?? native.progress(this.#handle);
  }

  /** Bytes that the arena of step temporaries has reserved. */
  get arenaBytes(): number {
    return this.#arena.reservedBytes;
  }

  /** An uninitialised tensor: from the arena while a scope is open, else one that owns its memory. */
  empty(dtype: DType, shape: readonly number[]): Tensor {
    if (this.#arena.isOpen) return this.#arena.empty(dtype, shape);
    const tensor = this.device.empty(dtype, shape);
    this.results.add(tensor.memory);
    return tensor;
  }

  /** `empty`, then written with `data` (raw bits for f16 and bf16). */
  fromArray<D extends DType>(dtype: D, shape: readonly number[], data: HostArray<D>): Tensor {
    const tensor = this.empty(dtype, shape);
    try {
      tensor.write(this, data);
    } catch (error) {
      tensor.dispose();
      throw error;
    }
    return tensor;
  }

  /** Opens a scope: tensors that ops allocate from now on live until it closes. */
  scope(): Scope {
    return this.#arena.open();
  }

  /** Queues one op. For lib/ops only: everybody else calls the typed functions there. @internal */
  run<Kinds extends readonly ArgumentKind[]>(op: NativeOp<Kinds>, ...args: OpArguments<Kinds>): void {
    if ((op as unknown) === undefined)
      throw new ArgumentTypeError(
        "stream: the addon lacks this op; rebuild it with `npx warploop build --force`",
      );
    const block = native.arguments;
    let at = 1;
    // By typeof, because instanceof and Number() cost more than all the rest of this function (bench/overhead.ts).
    for (let i = 0; i < args.length; i++) {
      const arg = args[i] as ArgumentTypes[ArgumentKind];
      if (typeof arg === "number") block[at++] = arg;
      else if (typeof arg === "boolean") block[at++] = arg ? 1 : 0;
      else if (arg == null) block[at++] = -1;
      else if (arg.device === this.device) at = arg.encode(block, at);
      else throw wrongTensor(op.name, arg, this.device);
    }
    block[0] = at - 1;
    op(this.handle);
  }

  /** Records what the op calls in `body` would have run, instead of running it. Host copies are not allowed inside. */
  capture(body: () => void): Graph {
    if (typeof body !== "function")
      throw new ArgumentTypeError(`capture: body: expected a function, got ${describe(body)}`);
    native.beginCapture(this.handle);
    try {
      body();
    } catch (error) {
      native.disposeGraph(native.endCapture(this.handle));
      throw error;
    }
    return Graph.create(native.endCapture(this.handle), this.device);
  }

  /**
   * Begins to record the commands that are queued from now on: ops, copies between host and device, and the ops of replayed graphs,
   * each with its kernel, start and duration. `trace.end()` gives the rows. A stream has one trace at a time.
   *
   * Commands run as they would without a trace, with two exceptions. On a GPU two events surround every command, which cost it about a
   * microsecond each between the commands; and a graph is replayed command by command, so that every one has its row: the
   * gaps between the rows are wider than those within a CUDA graph.
   *
   * @throws ArgumentTypeError while another trace is open or a capture runs; ArgumentRangeError for maxRows; ClosedError
   */
  trace(options: TraceOptions = {}): Trace {
    return Trace.begin(this.handle, options);
  }

  /** Waits until everything queued so far has run. @throws ExecutionError, ClosedError */
  async synchronize(): Promise<void> {
    const { handle } = this;
    await settle(handle, (token) => native.synchronize(handle, token));
  }

  /** The bytes of a contiguous tensor; `Tensor.read` is the typed form. @internal */
  async readBytes(tensor: Tensor, bytes: number): Promise<ArrayBuffer> {
    const { handle } = this;
    const place = readArguments("read: tensor", () => {
      if (tensor.memory && tensor.byteOffset >= 0)
        return { memory: tensor.memory.handle, at: tensor.byteOffset };
      throw new ArgumentTypeError(`read: tensor: expected a Tensor, got ${describe(tensor)}`);
    });
    return settle(handle, (token) => native.read(handle, place.memory, place.at, bytes, token));
  }

  /**
   * Finishes what is queued, then ends the stream; `drain: false` drops what has not started. Waits that are still open
   * reject with ClosedError. Idempotent.
   */
  async dispose(options: { readonly drain?: boolean | undefined } = {}): Promise<void> {
    const isDrained = checkBoolean("drain", readOptions("dispose", options, ["drain"]).drain, true);
    if (this.#disposed) return;
    this.#onDispose();
    const finished = isDrained ? this.synchronize().catch(() => undefined) : undefined; // a poisoned stream may end, too
    this.#disposed = true;
    await finished;
    abandonWaiters(this.#handle);
    this.#arena.dispose();
    this.#lastProgress = this.progress;
    native.disposeStream(this.#handle);
  }

  /** What console.log shows. */
  toString(): string {
    return `Stream on ${this.device.name}${this.#disposed ? ", closed" : ""}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}
printsAsText(Stream);

/** Why something is not a tensor that a stream of `device` can use. */
function wrongTensor(op: string, arg: unknown, device: Device): ArgumentTypeError {
  if (typeof arg !== "object" || arg === null || !("encode" in arg))
    return new ArgumentTypeError(`${op}: expected a tensor, got ${describe(arg)}`);
  return otherDevice(op, (arg as Tensor).device, device);
}
