/** How filters, methods and functions of templates take their arguments: by position or by name, checked. */
import {
  type Arguments,
  isTrue,
  numberOf,
  TemplateError,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

export const noArguments: Arguments = { positional: [], named: new Map() };

/** The arguments of one call, by the names of its parameters in order. */
export class Reader {
  readonly #what: string;
  readonly #values: ReadonlyMap<string, Value>;

  /**
   * @param what name of the function; used in errors
   * @param parameters names in the order of positions
   * @throws TemplateError for arguments that the function does not have
   */
  constructor(what: string, parameters: readonly string[], { positional, named }: Arguments) {
    this.#what = what;
    if (positional.length > parameters.length) {
      throw new TemplateError(`${what}() takes ${parameters.length} arguments, got ${positional.length}`);
    }
    for (const name of named.keys()) {
      if (!parameters.includes(name)) throw new TemplateError(`${what}() has no argument '${name}'`);
    }
    this.#values = new Map([...positional.map((value, i) => [parameters[i]!, value] as const), ...named]);
  }

  value(name: string, fallback?: Value): Value {
    const value = this.#values.get(name) ?? (this.#values.has(name) ? null : fallback);
    if (value === undefined) throw new TemplateError(`${this.#what}() needs the argument '${name}'`);
    return value;
  }

  string(name: string, fallback?: string): string {
    const value = this.value(name, fallback);
    if (typeof value === "string") return value;
    throw this.#wrong(name, "a str", value);
  }

  /** None counts as not given where there is a fallback. */
  integer(name: string, fallback?: number): number {
    const value = this.value(name, fallback);
    const number = numberOf(value ?? fallback ?? null);
    if (number !== undefined && Number.isInteger(number)) return number;
    throw this.#wrong(name, "an int", value);
  }

  flag(name: string, fallback: boolean): boolean {
    return isTrue(this.value(name, fallback));
  }

  #wrong(name: string, expected: string, value: Value): TemplateError {
    const hint = value instanceof Undefined ? ` (${value.hint})` : "";
    return new TemplateError(`${this.#what}(): ${name}: expected ${expected}, got ${typeName(value)}${hint}`);
  }
}
