/** `--api-keys FILE` of `warploop serve`. */
import { readFileSync } from "node:fs";
import type { ServeOptions } from "../server/index.js";
import { UsageError } from "./failure.js";

/**
 * Those of the file first, so that its entries have the places that errors name.
 *
 * @param given one by one
 * @throws UsageError
 */
export function keysOf(
  given: readonly string[] | undefined,
  file: string | undefined,
): ServeOptions["apiKeys"] {
  if (file === undefined) return given;
  const problem = `--api-keys ${file}: expected a file with a JSON list of keys, or of { "key": ..., "limits": {...} }`;
  let entries: unknown;
  try {
    entries = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    // Not the message of JSON.parse, which has what it has read: keys.
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(code === undefined ? problem : `--api-keys ${file}: cannot be read: ${code}`);
  }
  if (!Array.isArray(entries)) throw new UsageError(problem);
  return [...(entries as string[]), ...(given ?? [])];
}
