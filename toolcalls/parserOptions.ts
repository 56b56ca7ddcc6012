/** What a parser is made for. */
import type { ToolDefinition } from "./events.js";
import type { ReasoningSyntax, ToolSyntax } from "./syntax.js";
import type { Vocabulary } from "./tokenPieces.js";

export interface ParserOptions {
  /** The family's row; undefined: nothing is a call. */
  readonly syntax: ToolSyntax | undefined;
  /** Markers of thoughts; undefined: all is answer. */
  readonly reasoning: ReasoningSyntax | undefined;
  /** The tools of the request; without any nothing is a call. */
  readonly tools: readonly ToolDefinition[];
  /** With it, markers that are tokens count as tokens only, and chunks must have token ids. */
  readonly vocabulary?: Vocabulary | undefined;
  /** Special tokens that are no markers stay in the text. Default false. */
  readonly keepsSpecialTokens?: boolean | undefined;
  /** The prompt ends within thoughts. */
  readonly startsInReasoning: boolean;
}
