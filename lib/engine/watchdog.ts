/** Ends an engine whose device does not come back. */
import { WarploopError } from "../errors.js";

const longestPeriodMs = 5_000;

export class Watchdog {
  readonly #timeoutMs: number;
  readonly #onStall: (error: WarploopError) => void;
  #timer: NodeJS.Timeout | undefined;
  #since = 0;

  /** @param timeoutMs without progress, after which `onStall` is called with ERR_STALLED */
  constructor(timeoutMs: number, onStall: (error: WarploopError) => void) {
    this.#timeoutMs = timeoutMs;
    this.#onStall = onStall;
  }

  /** A step is on its way, and none was before. */
  start(): void {
    this.progress();
    this.stop();
    this.#timer = setInterval(() => this.#look(), Math.min(longestPeriodMs, this.#timeoutMs));
    this.#timer.unref();
  }

  /** A step has ended. */
  progress(): void {
    this.#since = performance.now();
  }

  /** No step is on its way. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const ms = performance.now() - this.#since;
    if (ms < this.#timeoutMs) return;
    const seconds = Math.round(ms / 1000);
    this.#onStall(new WarploopError("ERR_STALLED", `engine: a step has not finished for ${seconds} s`));
  }
}
