/** Errors that somebody else throws. */
import { WarploopError } from "./errors.js";

/** What was thrown, as an error. */
export function asError(cause: unknown): Error {
  return cause instanceof Error ? cause : new WarploopError("ERR_INTERNAL", String(cause));
}
