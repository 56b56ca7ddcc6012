/** Work that comes in heaps is done a little in each turn of the event loop, so that nothing else waits for all of it. */
import { setImmediate } from "node:timers";

export class Turns<T> {
  readonly #perTurn: number;
  readonly #work: (item: T) => void;
  readonly #items: T[] = [];
  /** Whether this turn has had its share. */
  #isOver = false;

  /** @param work must not throw */
  constructor(perTurn: number, work: (item: T) => void) {
    this.#perTurn = perTurn;
    this.#work = work;
  }

  /** Behind those that came before; the first of them at once, if this turn has done nothing yet. */
  add(items: readonly T[]): void {
    this.#items.push(...items);
    if (!this.#isOver) this.#do();
  }

  /** What is left, all at once. */
  flush(): void {
    for (const item of this.#items.splice(0)) this.#work(item);
  }

  #do(): void {
    this.#isOver = true;
    setImmediate(() => {
      this.#isOver = false;
      if (this.#items.length > 0) this.#do();
    });
    for (const item of this.#items.splice(0, this.#perTurn)) this.#work(item);
  }
}
