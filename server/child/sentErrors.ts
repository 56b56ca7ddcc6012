/** Errors on their way between processes: a clone would lose the class and the fields, by which a caller tells them apart. */
import * as library from "../../lib/index.js";

export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Its own fields, such as `code`, as far as they can be cloned. */
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause?: SentError;
}

const deepest = 8; // of causes: a chain may be a circle

export function packError(error: unknown, depth = 0): SentError {
  if (!(error instanceof Error))
    return { name: "Error", message: String(error), stack: undefined, fields: {} };
  const { name, message, stack, cause } = error;
  const own = Object.entries(error).filter(([key, value]) => key !== "cause" && isPlain(value));
  const packed = { name, message, stack, fields: Object.fromEntries(own) };
  return cause === undefined || depth === deepest
    ? packed
    : { ...packed, cause: packError(cause, depth + 1) };
}

/** With the class that it had, if it is one of warploop's or of the language. */
export function unpackError({ name, message, stack, fields, cause }: SentError): Error {
  const error = new Error(message, cause && { cause: unpackError(cause) });
  const known = classes.get(name);
  if (known) Object.setPrototypeOf(error, known.prototype);
  return Object.assign(error, fields, { name, ...(stack !== undefined && { stack }) });
}

function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isPlain);
  if (typeof value === "object" && value !== null)
    return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
  return typeof value !== "function" && typeof value !== "symbol";
}

type ErrorClass = new (...args: never[]) => Error;

const classes = new Map(
  [TypeError, RangeError, SyntaxError, ...Object.values(library)].flatMap((value) =>
    isErrorClass(value) ? [[value.name, value] as const] : [],
  ),
);

function isErrorClass(value: unknown): value is ErrorClass {
  return typeof value === "function" && value.prototype instanceof Error;
}
