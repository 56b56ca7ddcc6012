/** The thread that writes grammars (grammars.ts): whoever sends a schema may have made it to take long. */
import { describeError } from "../checkpoint/json.js";
import { serveJobs } from "../text/jobServer.js";
import { writeFormat } from "./format.js";
import type { WrittenGrammar } from "./syntax/rules.js";

/** What is wrong with a format is an answer. */
export type GrammarReply = { readonly grammar: WrittenGrammar } | { readonly problem: string };

serveJobs((format: string): GrammarReply => {
  try {
    return { grammar: writeFormat(format) };
  } catch (error) {
    return { problem: describeError(error) };
  }
});
