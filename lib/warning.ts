/**
 * What a user should know and what stops nothing: something in a file was wrong, and this says what was done instead.
 * Warnings are Node's own: `process.on("warning")` sees them, `--no-warnings` hides them.
 */

/** Stable, like the codes of errors. */
export type WarningCode =
  /** config.json has fields that no table knows */
  | "WARN_UNKNOWN_FIELD"
  /** a value in generation_config.json, config.json or a file of the tokenizer is meaningless and counts as absent */
  | "WARN_BAD_DEFAULT"
  /** generation_config.json asks for something that is not done here */
  | "WARN_UNUSED_DEFAULT"
  /** `tie_word_embeddings`, but the head that is stored has values of its own */
  | "WARN_UNTIED_HEAD";

/** @param message names the file, what is in it, and what was done */
export function warn(code: WarningCode, message: string): void {
  process.emitWarning(message, { type: "WarploopWarning", code });
}
