/**
 * The memory of results while ops run: whoever calls an op that fails gets no tensor to dispose, so what it has allocated ends
 * with it. Results of a scope belong to the scope.
 */
interface Allocation {
  dispose(): void;
}

export class Results {
  readonly #memory: Allocation[] = [];
  /** Ops that are running: one may call another. */
  #depth = 0;

  /** An op starts. @returns where its results begin */
  begin(): number {
    this.#depth++;
    return this.#memory.length;
  }

  /** Memory that the caller of a running op will own; of nobody else. */
  add(memory: Allocation): void {
    if (this.#depth > 0) this.#memory.push(memory);
  }

  returned(): void {
    if (--this.#depth === 0) this.#memory.length = 0;
  }

  /** @param start what `begin` gave */
  failed(start: number): void {
    this.#depth--;
    for (const memory of this.#memory.splice(start)) memory.dispose();
  }
}
