/**
 * The typed face of the addon: every native function, and the promises that the addon settles. The addon is loaded when it is first
 * used, so that an import never fails for want of it. Handles are numbers that native/bind/handles.h checks. Ops go through
 * `Stream.run`; which folders may call the rest is in scripts/check/rooms.mjs.
 */
import {
  ArgumentRangeError,
  ArgumentTypeError,
  ClosedError,
  DeviceError,
  ExecutionError,
  OutOfMemoryError,
  WarploopError,
} from "../errors.js";
import type { FloatDType } from "./dtype.js";
import { loadAddon } from "./nativeLoader.js";
import type { Handle } from "./nativeOp.js";
import type { NativeOps } from "./nativeOps.js";

export type { ArgumentKind, Handle, NativeOp } from "./nativeOp.js";

interface Settled {
  readonly token: number;
  readonly data?: ArrayBuffer;
  readonly op?: string;
  readonly message?: string;
}

/** A device of this machine, the best one first; `problem` says why it cannot be opened, and is empty when it can. */
export interface DeviceEntry {
  readonly name: string;
  readonly detail: string;
  readonly problem: string;
}

export interface NativeDeviceInfo {
  readonly name: string;
  readonly model: string;
  readonly isa: string;
  readonly threads: number;
  readonly processors: number;
  readonly fastDtypes: readonly FloatDType[];
  readonly weightFormats: readonly string[];
  readonly takesInt8: boolean;
}

interface Native {
  /** How many numbers an op call hands over, then these numbers: see native/bind/arguments.h. */
  readonly arguments: Float64Array;
  readonly ops: NativeOps;
  /** Bytes of what the op attentionPlan makes; `mostKeys`, `maxQueries`: of a sequence. 0 processors: on the CPU. */
  attentionPlanBytes(
    processors: number,
    queries: number,
    sequences: number,
    group: number,
    heads: number,
    mostKeys: number,
    maxQueries: number,
  ): number;
  devices(): readonly DeviceEntry[];
  openDevice(name: string, threads: number): Handle;
  deviceInfo(device: Handle): NativeDeviceInfo;
  deviceMemory(device: Handle): { readonly free: number; readonly total: number };
  closeDevice(device: Handle): void;
  allocate(device: Handle, bytes: number): Handle;
  release(memory: Handle): void;
  openFile(descriptor: number, path: string): Handle;
  closeFile(file: Handle): void;
  /** Sizes of the tensor behind a weight of a format and dtype; see native/formats/formats.h. @throws ArgumentRangeError */
  packedShape(
    format: number,
    dtype: number,
    experts: number,
    outputs: number,
    inputs: number,
    swiglu: boolean,
    group: number,
    scale: number,
    offset: number,
    activation: number,
  ): number[];
  /** Only in builds that see what is read or written behind memory: step temporaries have memory of their own, too. */
  readonly separateTensors?: boolean;
  /** Only in the test build with the emulated GPU: the next kernel ends in a device fault. */
  failNextLaunch?(): void;
  /** Only there, too: grids run their last `blocks` blocks only; 0: all. */
  runLastBlocks?(blocks: number): void;
  /** Of streams that are created from now on; without arguments: as usual. */
  setScratch?(workspaceBytes?: number, counters?: number): void;
  /** @throws DeviceError when no thread can be created now */
  requireThread(): void;
  /** @throws DeviceError when the process cannot reserve so many bytes more of its address space */
  requireAddressSpace(bytes: number): void;
  liveHandles(): Readonly<Record<"devices" | "memory" | "streams" | "graphs" | "files", number>>;
  createStream(device: Handle): Handle;
  disposeStream(stream: Handle): void;
  /** A count that grows while the commands of the stream go on. Never waits. */
  progress(stream: Handle): number;
  write(stream: Handle, memory: Handle, byteOffset: number, data: ArrayBufferView): void;
  copyFile(
    stream: Handle,
    file: Handle,
    fileOffset: number,
    memory: Handle,
    byteOffset: number,
    bytes: number,
  ): void;
  read(stream: Handle, memory: Handle, byteOffset: number, bytes: number, token: number): void;
  synchronize(stream: Handle, token: number): void;
  /** Throws while the stream has one that has not ended. */
  beginTrace(stream: Handle, maxRows: number): void;
  /** Settles with what lib/device/trace.ts reads. */
  endTrace(stream: Handle, token: number): void;
  hold(open: boolean): void;
  beginCapture(stream: Handle): void;
  endCapture(stream: Handle): Handle;
  replay(stream: Handle, graph: Handle): void;
  disposeGraph(graph: Handle): void;
  /** Grammars (lib/grammar/matcher.ts). */
  createVocabulary(bytes: Uint8Array, ends: Int32Array): Handle;
  createGrammar(program: Int32Array, terminals: Int32Array, rules: Int32Array, start: number): Handle;
  createVocabularyInBackground(bytes: Uint8Array, ends: Int32Array): Promise<Handle>;
  createGrammarInBackground(
    program: Int32Array,
    terminals: Int32Array,
    rules: Int32Array,
    start: number,
  ): Promise<Handle>;
  createMatcher(grammar: Handle, vocabulary: Handle): Handle;
  prepareNext(matcher: Handle, most: number): boolean;
  prepareNextInBackground(matcher: Handle, most: number): Promise<void>;
  fillMask(matcher: Handle, words: Int32Array): boolean;
  acceptToken(matcher: Handle, token: number): boolean;
  rollbackTokens(matcher: Handle, count: number): void;
  isAccepting(matcher: Handle): boolean;
  forcedBytes(matcher: Handle, most: number): Uint8Array;
  disposeVocabulary(vocabulary: Handle): void;
  disposeGrammar(grammar: Handle): void;
  disposeMatcher(matcher: Handle): void;
  onSettled(callback: (settled: readonly Settled[]) => void): void;
  onError(make: (code: string, message: string, neededBytes: number, freeBytes: number) => Error): void;
}

interface Waiter {
  readonly stream: Handle;
  readonly resolve: (data: ArrayBuffer) => void;
  readonly reject: (error: Error) => void;
}

/** The promises that are open: while there are any, the event loop is held. */
const waiters = new Map<number, Waiter>();
let nextToken = 1;

function addWaiter(token: number, waiter: Waiter): void {
  waiters.set(token, waiter);
  if (waiters.size === 1) native.hold(true);
}

/** Undefined when its stream was disposed meanwhile. */
function takeWaiter(token: number): Waiter | undefined {
  const waiter = waiters.get(token);
  if (waiters.delete(token) && waiters.size === 0) native.hold(false);
  return waiter;
}

/**
 * The addon, once anything of it has been asked for; until then something that loads it.
 * @throws NativeLoadError from the first use, and again from each one until it can be loaded
 */
export let native: Native = new Proxy({} as Native, { get: (_, name) => load()[name as keyof Native] });

function load(): Native {
  const addon = loadAddon() as Native;
  addon.onError(errorOf);
  addon.onSettled(settleWaiters);
  // Copies, because V8 reads a property of a literal much faster than one of an object that Node-API filled (bench/overhead.ts).
  native = { ...addon, ops: { ...addon.ops } };
  return native;
}

function errorOf(code: string, message: string, neededBytes: number, freeBytes: number): Error {
  switch (code) {
    case "ERR_ARGUMENT_TYPE":
      return new ArgumentTypeError(message);
    case "ERR_ARGUMENT_RANGE":
      return new ArgumentRangeError(message);
    case "ERR_OUT_OF_MEMORY":
      return new OutOfMemoryError(message, neededBytes, freeBytes);
    case "ERR_DEVICE":
      return new DeviceError(message);
    case "ERR_CLOSED":
      return new ClosedError("", message);
    default:
      return new WarploopError(code, message);
  }
}

function settleWaiters(settled: readonly Settled[]): void {
  for (const { token, data, op, message } of settled) {
    const waiter = takeWaiter(token);
    if (!waiter) continue;
    if (data) waiter.resolve(data);
    else waiter.reject(new ExecutionError(message ?? "unknown failure", op ?? ""));
  }
}

/** Starts an asynchronous native call; the promise settles when the addon reports `token`. */
export function settle(stream: Handle, start: (token: number) => void): Promise<ArrayBuffer> {
  return new Promise((resolve, reject) => {
    const token = nextToken++;
    start(token); // a throw here rejects, and leaves no waiter behind
    addWaiter(token, { stream, resolve, reject });
  });
}

/** Rejects everything that still waits for a stream that is being disposed. */
export function abandonWaiters(stream: Handle): void {
  for (const [token, waiter] of waiters) {
    if (waiter.stream === stream) takeWaiter(token)?.reject(new ClosedError("stream"));
  }
}
