/** What a rate is held against, in TFLOP/s or TB/s, whichever limits the case. */
export interface Marks {
  /** What the release asks for, and its goal. */
  readonly asked?: readonly [least: number, goal: number];
  /** What a reading of the kernels predicted before any of them had run, from and to. */
  readonly h100?: readonly [number, number];
  readonly h200?: readonly [number, number];
}

/** One line of bench:gpu. */
import type { Stream } from "../../lib/device/stream.js";
import type { BaselineRequest } from "./baseline.js";

export interface GpuCase {
  readonly op: string;
  /** As printed, in glossary letters. */
  readonly shape: string;
  readonly dtype: string;
  readonly bytes: number;
  readonly flops: number;
  readonly marks?: Marks | undefined;
  /** Makes the inputs on the stream's open scope; the result queues one call, each time the next copy. */
  readonly setup: (stream: Stream) => () => void;
  /** A call whose time is taken off: the case is what the other one does besides. */
  readonly without?: (stream: Stream) => () => void;
  readonly baseline?: BaselineRequest;
}
