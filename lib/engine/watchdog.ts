/**
 * Ends an engine whose device does not come back. What it watches is the device's own count of what has ended, so a step may
 * take as long as it likes while its commands go on. What counts are looks at it, not the time between them: a process that was
 * busy, stopped or suspended meanwhile has looked once, and the device may go on before its next look.
 */
import { WarploopError } from "../errors.js";

const longestPeriodMs = 5_000;
const leastLooks = 4;

export class Watchdog {
  readonly #timeoutMs: number;
  readonly #periodMs: number;
  readonly #progress: () => number;
  readonly #onStall: (error: WarploopError) => void;
  #timer: NodeJS.Timeout | undefined;
  #lastProgress = 0;
  #numPauses = 0;
  /** Since the last progress. */
  #looks = 0;

  /**
   * @param timeoutMs observed without progress, after which `onStall` is called with ERR_STALLED
   * @param progress a number that changes while the device goes on
   */
  constructor(timeoutMs: number, progress: () => number, onStall: (error: WarploopError) => void) {
    this.#timeoutMs = timeoutMs;
    this.#periodMs = Math.min(longestPeriodMs, timeoutMs / leastLooks);
    this.#progress = progress;
    this.#onStall = onStall;
  }

  /** A step is on its way, and none was before. */
  start(): void {
    this.stop();
    this.#lastProgress = this.#progress();
    this.#looks = 0;
    this.#timer = setInterval(() => this.#look(), this.#periodMs);
    this.#timer.unref();
  }

  /** No step is on its way. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Does not count while the device waits for `work`. */
  async pauseFor<T>(work: Promise<T>): Promise<T> {
    this.#numPauses++;
    try {
      return await work;
    } finally {
      this.#numPauses--;
      this.#looks = 0;
    }
  }

  #look(): void {
    const progress = this.#progress();
    if (progress !== this.#lastProgress || this.#numPauses > 0) {
      this.#lastProgress = progress;
      this.#looks = 0;
      return;
    }
    if (++this.#looks * this.#periodMs < this.#timeoutMs) return;
    const message = `engine: the device has finished nothing for ${this.#timeoutMs / 1000} s (stepTimeoutMs)`;
    this.#onStall(new WarploopError("ERR_STALLED", message));
  }
}
