/** How many continuations may be open at once: those that run and those that wait. */
import { QueueFullError } from "../errors.js";

export class Places {
  readonly #most: number;
  #taken = 0;
  #waiters: (() => void)[] = [];

  /** @param most Infinity: any number */
  constructor(most: number) {
    this.#most = most;
  }

  /** @throws QueueFullError if there are fewer left */
  take(count: number): void {
    if (this.#taken + count > this.#most) throw new QueueFullError(count, this.#taken, this.#most);
    this.#taken += count;
  }

  giveBack(): void {
    this.#taken--;
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /**
   * What to wait for before so many places are asked for again; undefined if they are there, or never will be. Others may take them first.
   */
  whenFree(count: number): Promise<void> | undefined {
    if (this.#taken + count <= this.#most || count > this.#most) return undefined;
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}
