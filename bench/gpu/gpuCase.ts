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
  /** What the release asks for, in TFLOP/s or TB/s, whichever limits the case. */
  readonly target?: { readonly least: number; readonly goal: number };
  /** Makes the inputs on the stream's open scope; the result queues one call, each time the next copy. */
  readonly setup: (stream: Stream) => () => void;
  readonly baseline?: BaselineRequest;
}
