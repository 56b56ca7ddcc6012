/**
 * Public classes that come from a function, not from `new`: TypeScript hides their constructors, plain JavaScript does not. Each takes
 * the key first, which only this package has.
 */
import { ArgumentTypeError } from "./errors.js";

export const constructKey: unique symbol = Symbol("warploop");
export type ConstructKey = typeof constructKey;

/**
 * @param what the class
 * @param use what makes its objects
 * @throws ArgumentTypeError for `new` outside of this package
 */
export function requireKey(key: unknown, what: string, use: string): void {
  if (key !== constructKey) throw new ArgumentTypeError(`new ${what}: use ${use}`);
}

/** `console.log` shows objects of a class as `String` does: what their own `toString` says. */
export function printsAsText(type: { readonly prototype: object }): void {
  const value = function (this: unknown): string {
    return String(this);
  };
  Object.defineProperty(type.prototype, Symbol.for("nodejs.util.inspect.custom"), { value });
}
