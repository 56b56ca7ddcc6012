/** Reads the files of a tokenizer in a checkpoint folder and prepares them, a large one on a thread. */
import { join } from "node:path";
import { type PreparedTokenizer, prepareTokenizer } from "./preparedTokenizer.js";
import { loadTokenizerConfig, type TokenizerConfig, warnOfOtherForms } from "./specialTokens.js";
import { readFileBytes } from "./textFile.js";
import { prepareOnThread } from "./tokenizerThread.js";

/** The largest published files have 35 MB. */
const maxTokenizerBytes = 256_000_000;
/** A smaller tokenizer.json is parsed in about 10 ms, quicker than a thread starts. */
const largeFileBytes = 1_000_000;

/** @returns null if there is no tokenizer.json @throws TextError ERR_TOKENIZER naming the file */
export async function readTokenizer(folder: string): Promise<PreparedTokenizer | null> {
  const file = join(folder, "tokenizer.json");
  const bytes = await readFileBytes(file, maxTokenizerBytes, "ERR_TOKENIZER");
  if (bytes === undefined) return null;
  const files = await loadTokenizerConfig(folder, "ERR_TOKENIZER");
  warnOfOtherForms(folder, files);
  return prepareFile(bytes, file, files);
}

/**
 * Prepares a tokenizer.json.
 *
 * @param bytes in memory of their own, which a thread may take
 * @throws TextError ERR_TOKENIZER naming the file
 */
export async function prepareFile(
  bytes: Buffer,
  file: string,
  files: TokenizerConfig,
): Promise<PreparedTokenizer> {
  return bytes.length < largeFileBytes
    ? prepareTokenizer(bytes.toString("utf8"), file, files)
    : prepareOnThread(bytes, file, files);
}
