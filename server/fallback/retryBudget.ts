/**
 * How many retries a model may have: a share of its requests, so that trying again never multiplies the load on what is overloaded, and a
 * reserve for the first ones. As Finagle's RetryBudget (https://finagle.github.io/blog/2016/02/08/retry-budgets/).
 */
const reserve = 10;

export class RetryBudget {
  readonly #share: number;
  #left = reserve;

  /** @param share of the requests */
  constructor(share: number) {
    this.#share = share;
  }

  /** A request has come. */
  fill(): void {
    this.#left = Math.min(reserve, this.#left + this.#share);
  }

  /** @returns whether there may be one more */
  take(): boolean {
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

const firstMs = 100;
const mostMs = 2000;

/** How long to wait before a retry: "full jitter", so that those that failed together do not come together again. */
export function retryDelayMs(attempt: number, random: () => number): number {
  return random() * Math.min(mostMs, firstMs * 2 ** attempt);
}
