/**
 * An allowance that grows evenly with time, up to its size: a token bucket. What is known only later is taken below zero, and grows
 * back before anything else is allowed. Times are milliseconds of one clock, which the caller reads.
 */
export class TokenBucket {
  readonly size: number;
  #level: number;
  #at: number;

  /** @param perMinute its size, and what it grows by in a minute */
  constructor(perMinute: number, now: number) {
    this.size = perMinute;
    this.#level = perMinute;
    this.#at = now;
  }

  level(now: number): number {
    const grown = this.#level + (this.size * (now - this.#at)) / 60_000;
    this.#level = Math.min(this.size, grown);
    this.#at = now;
    return this.#level;
  }

  take(amount: number, now: number): void {
    this.#level = this.level(now) - amount;
  }

  /** How long until it has so much, in milliseconds. @param amount at most its size */
  waitMs(amount: number, now: number): number {
    return (Math.max(0, amount - this.level(now)) * 60_000) / this.size;
  }
}
