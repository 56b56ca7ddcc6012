/**
 * The form of the table of families: a state machine over marker texts. In each state the text up to the next marker means
 * something (`rule`), and a marker leads to the next state. The engine that runs it is parser.ts.
 */
import type { ValueRule } from "./rawValue.js";
import type { WrittenAnswer, WrittenCalls } from "./written.js";

/** What the text in a state is. */
export type TextRule =
  /** The answer, or the thoughts: handed out as it comes. */
  | "content"
  | "reasoning"
  /** White space is dropped; other text goes on in state `otherwise`, and without one the markup so far was no call. */
  | "blank"
  /** Between the arguments of a call: other text than white space is handed out after the call. */
  | "gap"
  /** Kept for the action of the next edge. It must match `allowed`. */
  | "collect"
  /** An argument's value as raw text. */
  | "value"
  /** JSON of the arguments, an object of name and arguments, a Python literal: each finds its end itself and goes on by `end`. */
  | "json"
  | "envelope"
  | "python";

export type Action =
  /** The collected text is the name of the function, or its id. */
  | "name"
  | "id"
  /** The call begins; its name is the collected text, if there was no "name". */
  | "start"
  /** The collected text is the key of an argument; begins the call if nothing did. */
  | "key"
  /** The collected text says whether the value is a string. */
  | "flag"
  | "value"
  /** The call is over. */
  | "end"
  /** The collected text is the header of a message (harmony), and says which state follows. */
  | "message";

export interface Edge {
  /** The marker's text. */
  readonly on: string;
  readonly to: string;
  readonly do?: readonly Action[];
  /** The marker is read once more in the next state, which must take it. */
  readonly keep?: true;
  /** What is collected in the next state begins with the marker. */
  readonly collects?: true;
  /** The marker closes what is done: no part of what would be text if the next call failed. */
  readonly closes?: true;
  /** Counts only as a token: the text may stand in a value. */
  readonly tokenOnly?: true;
}

/** An edge out of the text that is no call. */
export interface EntryEdge extends Edge {
  /**
   * Nothing that only calls have: needs the name of a tool that was offered, and does not count in thoughts. "start": counts only
   * where the answer begins.
   */
  readonly bare?: "anywhere" | "start";
}

export interface State {
  readonly rule: TextRule;
  readonly edges?: readonly Edge[];
  readonly otherwise?: string;
  /** Where "json", "envelope" and "python" go at their end, or where they cannot go on. */
  readonly end?: string;
  readonly allowed?: RegExp;
}

/** Names of calls that the model writes in a form of its own. */
export interface WrittenName {
  readonly name: string;
  readonly id?: string | undefined;
}

/** A row of the table. Its states are besides "start" (blank, else content), "content" and "reasoning", which all families share. */
export interface ToolSyntax {
  readonly name: string;
  /** Other names that people know it by. */
  readonly aliases: readonly string[];
  /** How a call begins. */
  readonly entries: readonly EntryEdge[];
  readonly states: Readonly<Record<string, State>>;
  /** The state at the beginning of the output, if not "start". */
  readonly initial?: string;
  /** How the calls are written that the states read: in the first of these forms whose token the vocabulary has. */
  readonly writes: readonly WrittenCalls[];
  /** How an answer is written, where it is not the text itself. */
  readonly answer?: WrittenAnswer;
  /** The id that a call gets. */
  readonly ids: "openai" | "mistral" | "kimi";
  readonly values?: ValueRule;
  /** What stands for a call without markers, found in what the template says of tools. */
  readonly hint: RegExp;
  /** Markers that models write in several tokens, even if a vocabulary has one for them. */
  readonly spelled?: readonly string[];
  /** A token that no other family's vocabulary has. */
  readonly token?: string;
}

/** Markers of thoughts. */
export interface ReasoningSyntax {
  readonly name: string;
  readonly open: string;
  readonly close: string;
}

const identifier = /^[^\s<>{}"'()[\],;=]*[ \t]*$/;

export const blank = (edges: readonly Edge[], otherwise?: string): State => ({
  rule: "blank",
  edges,
  ...(otherwise !== undefined && { otherwise }),
});
export const gap = (edges: readonly Edge[]): State => ({ rule: "gap", edges });
export const value = (edges: readonly Edge[]): State => ({ rule: "value", edges });
export const collect = (edges: readonly Edge[], allowed: RegExp = identifier): State => ({
  rule: "collect",
  edges,
  allowed,
});
/** A text that finds its own end. */
export const reads = (
  rule: "json" | "envelope" | "python",
  end: string,
  edges: readonly Edge[] = [],
): State => ({
  rule,
  end,
  edges,
});
