/**
 * Reads the text files of a checkpoint that belong to the tokenizer and the chat template, as untrusted data: bounded, and
 * every failure is a TextError that names the file. What the text means is not known here.
 */
import { readBoundedFile } from "../checkpoint/boundedFile.js";
import { nameContent } from "../checkpoint/fileContent.js";
import { describeError, isNotFound, isObject, show, type JsonObject } from "../checkpoint/json.js";
import { TextError } from "../errors.js";

export type TextErrorCode = "ERR_TOKENIZER" | "ERR_CHAT_TEMPLATE";

/**
 * Reads a UTF-8 file.
 *
 * @param file path
 * @param maxBytes longest file that is read
 * @param code of the error
 * @returns the text, or undefined if there is no such file
 * @throws TextError `code` if the file is too long or cannot be read
 */
export async function readTextFile(
  file: string,
  maxBytes: number,
  code: TextErrorCode,
): Promise<string | undefined> {
  return (await readFileBytes(file, maxBytes, code))?.toString("utf8");
}

/** The same, as bytes. */
export async function readFileBytes(
  file: string,
  maxBytes: number,
  code: TextErrorCode,
): Promise<Buffer | undefined> {
  try {
    return await readBoundedFile(file, maxBytes);
  } catch (cause) {
    if (isNotFound(cause)) return undefined;
    throw new TextError(code, `${file}: ${describeError(cause)}`, file, { cause });
  }
}

/**
 * Parses text that must hold one JSON object.
 *
 * @param file named in the error
 * @throws TextError `code` if it is not JSON or not an object
 */
export function parseJsonObject(text: string, file: string, code: TextErrorCode): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const problem = nameContent(text) ?? describeError(cause);
    throw new TextError(code, `${file}: not valid JSON: ${problem}`, file, { cause });
  }
  if (!isObject(value))
    throw new TextError(code, `${file}: expected a JSON object, got ${show(value)}`, file);
  return value;
}
