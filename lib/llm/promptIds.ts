/** A prompt as token ids, of calls that do not generate from it. */
import { TextError } from "../errors.js";
import { inTurns } from "../eventLoop.js";
import type { Intake } from "./intake.js";
import type { Parts } from "./parts.js";
import { checkPrompt, type Prompt } from "./prompt.js";

export interface PromptReader extends Pick<Parts, "context" | "tokenizer"> {
  readonly intake: Intake;
}

/**
 * @param name of the prompt, for errors
 * @param limit tokens that are too many; default: those that leave no room in the context
 * @throws ArgumentTypeError, ArgumentRangeError; TextError; the reason of the signal
 */
export async function promptIds(
  prompt: Prompt,
  { intake, tokenizer, context }: PromptReader,
  { name, signal, limit }: { name: string; signal?: AbortSignal | undefined; limit?: number },
): Promise<Int32Array> {
  const text = checkPrompt(prompt, context.vocabSize, name);
  if (typeof text !== "string") return text;
  if (!tokenizer)
    throw new TextError(
      "ERR_TOKENIZER",
      `the checkpoint has no tokenizer.json: give the ${name} as token ids`,
    );
  const named = { name, ...(limit !== undefined && { limit }) };
  const ids = await inTurns(intake.encode({ text, addSpecialTokens: true }, signal, named));
  signal?.throwIfAborted(); // else it may be a part of them
  return ids;
}
