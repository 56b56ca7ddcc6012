/** A priority queue of merges: the lowest rank first, of equal ranks the leftmost position. A binary heap in one flat array. */

/** Positions are below this, so that rank * positions + position is exact. */
const positions = 2 ** 31;

export class RankHeap {
  #keys: Float64Array;
  #size = 0;
  /** What `pop` took. */
  rank = 0;
  position = 0;

  constructor(capacity: number) {
    this.#keys = new Float64Array(capacity);
  }

  /** @param rank in [0, 2^21) @param position in [0, 2^31) */
  push(rank: number, position: number): void {
    if (this.#size === this.#keys.length) this.#grow();
    const key = rank * positions + position;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#keys[parent]! <= key) break;
      this.#keys[at] = this.#keys[parent]!;
      at = parent;
    }
    this.#keys[at] = key;
  }

  /** Takes the first entry. @returns false if there is none */
  pop(): boolean {
    if (this.#size === 0) return false;
    const keys = this.#keys;
    const first = keys[0]!;
    this.rank = Math.floor(first / positions);
    this.position = first - this.rank * positions;
    const key = keys[--this.#size]!;
    let at = 0;
    for (let child = 1; child < this.#size; child = 2 * at + 1) {
      if (child + 1 < this.#size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= key) break;
      keys[at] = keys[child]!;
      at = child;
    }
    keys[at] = key;
    return true;
  }

  #grow(): void {
    const keys = new Float64Array(2 * this.#keys.length + 16);
    keys.set(this.#keys);
    this.#keys = keys;
  }
}
