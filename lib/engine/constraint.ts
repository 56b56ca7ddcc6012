/** What a request's tokens have to obey beside sampling: all that the engine knows of grammars (lib/grammar implements it). */
export interface Constraint {
  /** Tokens that the model knows. */
  readonly vocabSize: number;
  /** Whether the text may end here: then ids that end the request may come, and else they may not. */
  readonly isAccepting: boolean;
  /**
   * Finds what the next calls of `fillMask` and `forcedTokens` say.
   *
   * @returns a promise where it takes long; until it settles nothing but its end may come
   */
  prepare(): Promise<void> | undefined;
  /**
   * Sets the bit of each token that may come next and clears all others: token v has bit v mod 32 of word floor(v / 32).
   *
   * @returns whether there is any
   */
  fillMask(words: Int32Array): boolean;
  /** The tokens that come next whatever is sampled, as the model would write them; none where there is a choice, or none is known. */
  forcedTokens(): readonly number[];
  /** A token has come. @returns false if it may not */
  accept(token: number): boolean;
  /** The last tokens have not come. */
  rollback(count: number): void;
}
