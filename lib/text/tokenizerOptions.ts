/** What a caller may ask of encoding and decoding. */

export interface EncodeOptions {
  /** Add what the post-processor adds, such as a first BOS token. Default true; false for rendered chat prompts. */
  readonly addSpecialTokens?: boolean;
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
  readonly skipSpecialTokens?: boolean;
}

export interface StepOptions extends MarkedEncodeOptions {
  /** Stop as soon as there are this many tokens: a text that has more is encoded in part. Default: all of it. */
  readonly limit?: number;
  /** Stop when it fires, likewise. */
  readonly signal?: AbortSignal;
}
