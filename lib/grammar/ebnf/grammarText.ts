/** A grammar that somebody wrote, whichever way: what its rules consist of, and where they stand. */
import type { Pattern } from "../syntax/pattern.js";
import type { Range } from "../syntax/utf8.js";

/** What a rule consists of. `at`: where it stands in the text. */
export type GrammarNode =
  | { readonly kind: "text"; readonly text: string }
  /** One character of these. */
  | { readonly kind: "class"; readonly ranges: readonly Range[] }
  | { readonly kind: "pattern"; readonly pattern: Pattern; readonly at: number }
  | { readonly kind: "name"; readonly name: string; readonly at: number }
  | { readonly kind: "sequence" | "choice"; readonly parts: readonly GrammarNode[] }
  | {
      readonly kind: "repeat";
      readonly of: GrammarNode;
      readonly min: number;
      readonly max: number;
      readonly at: number;
    };

export interface GrammarRule {
  readonly name: string;
  readonly body: GrammarNode;
  readonly at: number;
}

export interface GrammarText {
  readonly rules: readonly GrammarRule[];
  /** The rule that whole texts have. */
  readonly start: string;
}

/** Ends reading with an error that names a place of the text. */
export type FailAt = (at: number, problem: string) => never;

export const sequence = (parts: readonly GrammarNode[]): GrammarNode =>
  parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
export const choice = (parts: readonly GrammarNode[]): GrammarNode =>
  parts.length === 1 ? parts[0]! : { kind: "choice", parts };

/** Names that a node refers to. */
export function* namesIn(node: GrammarNode): Generator<{ readonly name: string; readonly at: number }> {
  if (node.kind === "name") yield node;
  else if (node.kind === "repeat") yield* namesIn(node.of);
  else if (node.kind === "sequence" || node.kind === "choice")
    for (const part of node.parts) yield* namesIn(part);
}
