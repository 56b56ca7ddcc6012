/** Seeded choices for benches that make up their requests. */
import { nextWord } from "./randomValues.js";

export class Dice {
  #state: number;

  /** @param seed an integer */
  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) >>> 0 || 1;
  }

  /** A number in [0, 1). */
  fraction(): number {
    this.#state = nextWord(this.#state);
    return this.#state / 2 ** 32;
  }

  /** An integer from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Item>(items: readonly [Item, ...Item[]]): Item {
    return items[this.integer(0, items.length - 1)]!;
  }
}
