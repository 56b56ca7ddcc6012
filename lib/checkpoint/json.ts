/**
 * JSON files of a checkpoint, read as untrusted data: bounded, and every failure is a CheckpointError. What the values
 * mean is not known here.
 */
import { stat } from "node:fs/promises";
import { CheckpointError } from "../errors.js";
import { readBoundedFile, requireRegular } from "./boundedFile.js";
import { nameContent } from "./fileContent.js";

export type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a file that must hold one JSON object.
 *
 * @param file path
 * @param limits maxBytes of the file; the code of the error for a malformed file
 * @returns the object, or undefined if there is no such file
 * @throws CheckpointError `code` if the file is malformed or too long, ERR_CHECKPOINT_MISSING if it cannot be read
 */
export async function readJsonObject(
  file: string,
  { maxBytes, code }: { readonly maxBytes: number; readonly code: string },
): Promise<JsonObject | undefined> {
  let text: string;
  try {
    text = (await readBoundedFile(file, maxBytes)).toString("utf8");
  } catch (cause) {
    if (isNotFound(cause)) return undefined;
    throw new CheckpointError(
      isSystemError(cause) ? "ERR_CHECKPOINT_MISSING" : code,
      `${file}: ${describeError(cause)}`,
      { file },
      { cause },
    );
  }
  let value: unknown;
  try {
    value = parseJson(text);
  } catch (cause) {
    const problem = nameContent(text) ?? describeError(cause);
    throw new CheckpointError(code, `${file}: not valid JSON: ${problem}`, { file }, { cause });
  }
  if (!isObject(value)) {
    throw new CheckpointError(code, `${file}: expected a JSON object, got ${show(value)}`, { file });
  }
  return value;
}

/** JSON, and the Infinity that Python writes although JSON has none. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (!text.includes("Infinity")) throw error;
    // Outside of strings; "1e999" is a number of JSON, and infinite.
    const withNumbers = text.replace(/"(?:[^"\\]|\\.)*"|Infinity/g, (part) =>
      part === "Infinity" ? "1e999" : part,
    );
    return JSON.parse(withNumbers);
  }
}

/** True for a JSON object: neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value of a file as an error message prints it: short, however long or deep the value is. */
export function show(value: unknown): string {
  if (!Array.isArray(value)) return showItem(value);
  const items = value.slice(0, 8).map(showItem);
  return `[${items.join(", ")}${value.length > items.length ? ", ..." : ""}]`;
}

function showItem(value: unknown): string {
  if (value === undefined) return "nothing";
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "[...]" : "{...}";
  if (typeof value === "string" && value.length > 100) return `${JSON.stringify(value.slice(0, 100))}...`;
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** The message of anything that was thrown, in at most 200 characters. */
export function describeError(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 200);
}

/** True for what the operating system says, such as ENOENT, ENOSPC or EACCES. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

/** True if a file system call failed because there is nothing at the path. */
export function isNotFound(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "ENOENT" || code === "ENOTDIR";
}

/**
 * True if there is a file at the path, links followed.
 *
 * @throws CheckpointError ERR_CHECKPOINT_MISSING if that cannot be found out, or something else is there
 */
export async function isFile(path: string): Promise<boolean> {
  try {
    requireRegular(await stat(path));
    return true;
  } catch (cause) {
    if (isNotFound(cause)) return false;
    const message = `${path}: ${describeError(cause)}`;
    throw new CheckpointError("ERR_CHECKPOINT_MISSING", message, { file: path }, { cause });
  }
}
