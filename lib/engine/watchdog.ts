/**
 * Ends an engine whose device does not come back. What counts are looks at it, not the time between them: a process that was
 * busy, stopped or suspended meanwhile has looked once, and the results that waited for it arrive before its next look.
 */
import { WarploopError } from "../errors.js";

const longestPeriodMs = 5_000;
const leastLooks = 4;

export class Watchdog {
  readonly #timeoutMs: number;
  readonly #periodMs: number;
  readonly #onStall: (error: WarploopError) => void;
  #timer: NodeJS.Timeout | undefined;
  /** Since the last step that ended. */
  #looks = 0;

  /** @param timeoutMs observed without progress, after which `onStall` is called with ERR_STALLED */
  constructor(timeoutMs: number, onStall: (error: WarploopError) => void) {
    this.#timeoutMs = timeoutMs;
    this.#periodMs = Math.min(longestPeriodMs, timeoutMs / leastLooks);
    this.#onStall = onStall;
  }

  /** A step is on its way, and none was before. */
  start(): void {
    this.progress();
    this.stop();
    this.#timer = setInterval(() => this.#look(), this.#periodMs);
    this.#timer.unref();
  }

  /** A step has ended. */
  progress(): void {
    this.#looks = 0;
  }

  /** No step is on its way. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    if (++this.#looks * this.#periodMs < this.#timeoutMs) return;
    const message = `engine: a step has not finished within ${this.#timeoutMs / 1000} s (stepTimeoutMs)`;
    this.#onStall(new WarploopError("ERR_STALLED", message));
  }
}
