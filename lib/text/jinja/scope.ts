/** The variables that a block of a template sees. */
import type { Value } from "./values.js";

/** Variables of a block; those of the blocks around it can be read, not changed. */
export class Scope {
  readonly #variables = new Map<string, Value>();
  constructor(readonly parent?: Scope) {}

  get(name: string): Value | undefined {
    for (let scope: Scope | undefined = this; scope; scope = scope.parent) {
      const value = scope.#variables.get(name);
      if (value !== undefined) return value;
    }
    return undefined;
  }

  set(name: string, value: Value): void {
    this.#variables.set(name, value);
  }
}
