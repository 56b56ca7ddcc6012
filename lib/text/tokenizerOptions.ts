/** What a caller may ask of encoding and decoding, and the checks of it. */
import { checkBoolean, copyOptions, describe, readArguments, readOptions } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";

export interface EncodeOptions {
  /** Add what the post-processor adds, such as a first BOS token. Default true; false for rendered chat prompts. */
  readonly addSpecialTokens?: boolean | undefined;
}

/** What the package itself may ask of encoding. */
export interface MarkedEncodeOptions extends EncodeOptions {
  /**
   * A character that is not text: inside a special token it keeps it from being found, and it is taken out before the rest
   * is tokenized. Rendered chats have one (plainText.ts).
   */
  readonly marker?: string | undefined;
}

export interface DecodeOptions {
  /** Leave out special tokens such as <|im_end|>. Default true. */
  readonly skipSpecialTokens?: boolean | undefined;
}

export interface StepOptions extends MarkedEncodeOptions {
  /** Stop as soon as there are this many tokens: a text that has more is encoded in part. Default: all of it. */
  readonly limit?: number | undefined;
  /** Stop when it fires, likewise. */
  readonly signal?: AbortSignal | undefined;
}

export interface CheckedEncodeOptions {
  readonly addSpecialTokens: boolean;
  readonly marker: string | undefined;
}

/** @throws ArgumentTypeError unless it is a string */
export function checkText(what: string, text: unknown): asserts text is string {
  if (typeof text !== "string")
    throw new ArgumentTypeError(`${what}: expected a string, got ${describe(text)}`);
}

/** The options of an encoding, with defaults. @throws ArgumentTypeError naming the option */
export function checkEncodeOptions(what: string, options: MarkedEncodeOptions): CheckedEncodeOptions {
  const { marker, ...others } = copyOptions(what, options);
  const { addSpecialTokens } = readOptions(what, others, ["addSpecialTokens"]);
  return { addSpecialTokens: checkBoolean(`${what}: addSpecialTokens`, addSpecialTokens, true), marker };
}

/** @returns `skipSpecialTokens` @throws ArgumentTypeError naming the option */
export function checkDecodeOptions(what: string, options: DecodeOptions): boolean {
  const { skipSpecialTokens } = readOptions(what, options, ["skipSpecialTokens"]);
  return checkBoolean(`${what}: skipSpecialTokens`, skipSpecialTokens, true);
}

/** @throws ArgumentRangeError for what is no integer in [0, 2^31) */
export function checkId(what: string, id: unknown): asserts id is number {
  if (Number.isInteger(id) && (id as number) >= 0 && (id as number) <= 0x7fffffff) return;
  throw new ArgumentRangeError(`${what}: expected an integer in [0, 2^31), got ${describe(id)}`);
}

/** A list of token ids as a plain one. @throws ArgumentTypeError, ArgumentRangeError naming the entry */
export function checkIds(what: string, ids: Iterable<number>): readonly number[] {
  const list = readArguments(what, () => {
    if (typeof ids === "object" && ids !== null && typeof ids[Symbol.iterator] === "function")
      return [...ids];
    throw new ArgumentTypeError(`${what}: expected token ids, got ${describe(ids)}`);
  });
  for (let i = 0; i < list.length; i++) checkId(`${what}[${i}]`, list[i]);
  return list;
}
