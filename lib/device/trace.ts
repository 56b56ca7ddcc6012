/**
 * What the commands of a stream were and how long each took: for benches, and for whoever asks where the time of a step goes.
 * Costs nothing while no trace is open.
 */
import { describe, readOptions } from "../arguments.js";
import { type ConstructKey, constructKey, printsAsText, requireKey } from "../construct.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";
import { type Handle, native, settle } from "./native.js";

const largestMaxRows = 2 ** 20;

export interface TraceOptions {
  /** Most rows that are kept, 1 to 1,048,576; later commands run, and are only counted. Default: 65,536. */
  readonly maxRows?: number | undefined;
}

export interface ChromeTraceOptions {
  /** What the timeline is called in the viewer. Default "warploop". */
  readonly name?: string | undefined;
}

/** What copies between host and device are called in `op`. */
const copies: readonly string[] = ["write", "read", "copyFile"];

/** One command that a stream has run. */
export interface TraceRow {
  /** An op ("linear"), or a copy between host and device: "write", "read" or "copyFile". */
  readonly op: string;
  /** The tensors of an op, as "x [4, 256] f32, weight [256] f32"; "" for copies. */
  readonly tensors: string;
  /**
   * Which of its kernels the op chose on a GPU ("hopper", "tiles", "h128x256" ...); its own name where it has one kernel alone, as
   * every op on the CPU.
   */
  readonly kernel: string;
  /** The kernels that come before it in the op's table, and why each was passed over; most preferred first. */
  readonly refused: readonly { readonly kernel: string; readonly reason: string }[];
  /** Kernels that were launched; on the CPU 1 for each op. Copies: 0. */
  readonly launches: number;
  /** Bytes that were copied between host and device; 0 for ops. */
  readonly bytes: number;
  /** Microseconds since the trace began, in the time of the device. */
  readonly start: number;
  /** Microseconds. */
  readonly duration: number;
}

/** A trace that was begun with `stream.trace()`. */
export class Trace {
  readonly #stream: Handle;
  #rows: Promise<readonly TraceRow[]> | undefined;
  /** Rows that `end` has read; undefined before. */
  #numRows: number | undefined;
  #missed = 0;

  private constructor(key: ConstructKey, stream: Handle) {
    requireKey(key, "Trace", "stream.trace()");
    this.#stream = stream;
  }

  /** For `stream.trace()`. @internal */
  static begin(stream: Handle, options: TraceOptions = {}): Trace {
    native.beginTrace(stream, maxRowsOf(options));
    return new Trace(constructKey, stream);
  }

  /** Commands that ran after `maxRows` others and have no row. Known when `end` has settled, 0 before. */
  get missed(): number {
    return this.#missed;
  }

  /**
   * Ends the trace at this point of the stream, and waits until everything queued before has run. Another trace of the stream can
   * begin at once. Called again, it gives the same rows.
   *
   * @returns a row per command, in the order in which they ran
   * @throws ExecutionError when a command of the stream has failed; ClosedError when the stream was disposed;
   * ArgumentTypeError while a capture runs
   */
  async end(): Promise<readonly TraceRow[]> {
    this.#rows ??= this.#read();
    return this.#rows;
  }

  /**
   * Ends the trace, as `end` does, and gives it as a file for chrome://tracing, ui.perfetto.dev or speedscope.
   *
   * @returns JSON: a complete event ("X") per row, with times in microseconds; what else a row says is in its `args`
   * @throws what `end` throws; ArgumentTypeError for an option that is none
   * @see Trace Event Format, docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
   */
  async chromeJson(options: ChromeTraceOptions = {}): Promise<string> {
    const { name = "warploop" } = readOptions("chromeJson", options, ["name"]);
    if (typeof name !== "string")
      throw new ArgumentTypeError(`chromeJson: name: expected a string, got ${describe(name)}`);
    return JSON.stringify({ traceEvents: chromeEvents(name, await this.end()), displayTimeUnit: "ns" });
  }

  async #read(): Promise<readonly TraceRow[]> {
    try {
      const data = await settle(this.#stream, (token) => native.endTrace(this.#stream, token));
      const { missed, rows } = decode(data);
      this.#missed = missed;
      this.#numRows = rows.length;
      return rows;
    } catch (error) {
      if (error instanceof ArgumentTypeError) this.#rows = undefined; // refused: it is still open
      throw error;
    }
  }

  /** What console.log shows. */
  toString(): string {
    if (this.#numRows === undefined) return `Trace, ${this.#rows ? "ended" : "open"}`;
    const rows = `${this.#numRows} row${this.#numRows === 1 ? "" : "s"}`;
    return `Trace of ${rows}${this.#missed > 0 ? `, ${this.#missed} missed` : ""}`;
  }

  /** Ends it, whether or not anything can be read. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.end().catch(() => undefined);
  }
}
printsAsText(Trace);

function maxRowsOf(options: TraceOptions): number {
  const { maxRows = 65_536 } = readOptions("trace", options, ["maxRows"]);
  if (Number.isInteger(maxRows) && maxRows >= 1 && maxRows <= largestMaxRows) return maxRows;
  const message = `trace: maxRows: expected an integer from 1 to ${largestMaxRows}, got ${describe(maxRows)}`;
  throw typeof maxRows === "number" ? new ArgumentRangeError(message) : new ArgumentTypeError(message);
}

const headNumbers = 2;
const rowNumbers = 8;

/** Reads what native/bind/trace_bind.cc has written. */
function decode(data: ArrayBuffer): { missed: number; rows: readonly TraceRow[] } {
  const [missed, count] = new Float64Array(data, 0, headNumbers) as unknown as [number, number];
  const numbers = headNumbers + count * rowNumbers;
  const values = new Float64Array(data, 0, numbers);
  const names = new TextDecoder()
    .decode(new Uint8Array(data, numbers * values.BYTES_PER_ELEMENT))
    .split("\n");
  const rows = Array.from({ length: count }, (_, i): TraceRow => {
    const at = headNumbers + i * rowNumbers;
    return {
      op: names[values[at]!]!,
      tensors: names[values[at + 1]!]!,
      kernel: names[values[at + 2]!]!,
      refused: refusals(names[values[at + 3]!]!),
      launches: values[at + 4]!,
      bytes: values[at + 5]!,
      start: values[at + 6]!,
      duration: values[at + 7]!,
    };
  });
  return { missed, rows };
}

function refusals(text: string): TraceRow["refused"] {
  const words = text === "" ? [] : text.split("\t");
  return Array.from({ length: words.length / 2 }, (_, i) => ({
    kernel: words[2 * i]!,
    reason: words[2 * i + 1]!,
  }));
}

/** The names of the timeline, then the rows. */
function chromeEvents(name: string, rows: readonly TraceRow[]): readonly object[] {
  const place = { pid: 1, tid: 1 };
  const head = ["process_name", "thread_name"].map((kind) => ({
    ...{ ph: "M", name: kind, ...place },
    args: { name: kind === "process_name" ? name : "stream" },
  }));
  const events = rows.map(({ op, kernel, start, duration, ...args }) => ({
    ...{ ph: "X", name: kernel === op ? op : `${op} ${kernel}`, cat: copies.includes(op) ? "copy" : "op" },
    ...{ ts: start, dur: duration, ...place, args },
  }));
  return [...head, ...events];
}
