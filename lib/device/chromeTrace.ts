/** Traces as files that viewers of timelines open: chrome://tracing, ui.perfetto.dev, speedscope. */
import type { TraceRow } from "./trace.js";

export interface ChromeTraceOptions {
  /** What the timeline is called in the viewer. Default "warploop". */
  readonly name?: string | undefined;
}

/**
 * A trace in the Trace Event Format, to be written to a `.json` file.
 *
 * @param rows of `trace.end()`
 * @returns JSON: a complete event ("X") per row, with times in microseconds; what else a row says is in its `args`
 * @see Trace Event Format, docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
 */
export function chromeTrace(
  rows: readonly TraceRow[],
  { name = "warploop" }: ChromeTraceOptions = {},
): string {
  const place = { pid: 1, tid: 1 };
  const head = ["process_name", "thread_name"].map((kind) => ({
    ...{ ph: "M", name: kind, ...place },
    args: { name: kind === "process_name" ? name : "stream" },
  }));
  const events = rows.map(({ op, kernel, start, duration, ...args }) => ({
    ...{ ph: "X", name: kernel === op ? op : `${op} ${kernel}`, cat: args.bytes > 0 ? "copy" : "op" },
    ...{ ts: start, dur: duration, ...place, args },
  }));
  return JSON.stringify({ traceEvents: [...head, ...events], displayTimeUnit: "ns" });
}
