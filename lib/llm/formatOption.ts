/** The option `format` of a generation. */
import { readArguments } from "../arguments.js";
import { ArgumentRangeError, TextError } from "../errors.js";
import { checkFormat, thoughtsOf } from "../grammar/format.js";
import type { CheckedFormat } from "../grammar/grammars.js";

/**
 * @param ends token ids that end the text
 * @throws ArgumentTypeError, ArgumentRangeError; TextError ERR_TOKENIZER
 */
export function resolveFormat(
  format: unknown,
  ends: ReadonlySet<number>,
  hasTokenizer: boolean,
): CheckedFormat | undefined {
  if (format === undefined) return undefined;
  const checked = readArguments("format", () => ({
    json: checkFormat(format),
    thoughts: thoughtsOf(format),
  }));
  if (!hasTokenizer)
    throw new TextError(
      "ERR_TOKENIZER",
      "format: the checkpoint has no tokenizer.json, which says what its tokens write",
    );
  if (ends.size > 0) return checked;
  throw new ArgumentRangeError(
    "format: no token may end the text: expected ignoreEos: false, or stopTokenIds",
  );
}
