/** The thread that writes grammars (grammars.ts): whoever sends a schema may have made it to take long. */
import { describeError } from "../checkpoint/json.js";
import { ArgumentRangeError } from "../errors.js";
import { serveJobs } from "../text/jobServer.js";
import { type GrammarPlace, writeFormat } from "./format.js";
import type { WrittenGrammar } from "./syntax/rules.js";

/** Errors have their place first, and names and values of others in them. */
const maxProblemChars = 4000;

export interface GrammarJob extends GrammarPlace {
  /** Of checkFormat. */
  readonly format: string;
}

/** What is wrong with a format is an answer. */
export type GrammarReply = { readonly grammar: WrittenGrammar } | { readonly problem: string };

serveJobs(({ format, ...place }: GrammarJob): GrammarReply => {
  try {
    return { grammar: writeFormat(format, place) };
  } catch (error) {
    if (!(error instanceof ArgumentRangeError)) return { problem: describeError(error) };
    return { problem: error.message.slice(0, maxProblemChars) };
  }
});
