/** What writes the values within others: the compiler, as objects and arrays see it. */
import type { Expression } from "../syntax/expressions.js";
import type { GrammarSymbol, GrammarWriter } from "../syntax/rules.js";
import type { Punctuation } from "./punctuation.js";
import type { Scalars } from "./scalars.js";
import type { Conjunction } from "./schemaAt.js";
import type { Sequences } from "./sequences.js";

export interface ValueWriter {
  readonly grammar: GrammarWriter;
  readonly scalars: Scalars;
  readonly punctuation: Punctuation;
  readonly sequences: Sequences;
  /** Values that are valid for all of these. */
  symbolOf(conjunction: Conjunction): GrammarSymbol;
  /** Names that are valid for all of these, between quotes. */
  namesOf(conjunction: Conjunction): Expression;
}
