/** The thread behind tokenizerThread.ts: reads tokenizer.json, or encodes texts with a tokenizer of its own. */
import { TextError } from "../errors.js";
import { runNow } from "../eventLoop.js";
import { serveJobs } from "./jobServer.js";
import { prepareTokenizer } from "./preparedTokenizer.js";
import { Tokenizer } from "./tokenizer.js";
import type { TokenizerJob, TokenizerReply } from "./tokenizerThread.js";

let tokenizer: Tokenizer | undefined;

function handle(job: TokenizerJob): TokenizerReply {
  try {
    if (job.kind === "prepare") {
      const json = Buffer.from(job.bytes.buffer, job.bytes.byteOffset, job.bytes.byteLength).toString("utf8");
      return { kind: "prepared", prepared: prepareTokenizer(json, job.file, job.files) };
    }
    if (job.prepared !== undefined) tokenizer = runNow(Tokenizer.make(job.prepared));
    if (tokenizer === undefined) return { kind: "unprepared" };
    return { kind: "ids", ids: tokenizer.encode(job.text, job.options) };
  } catch (error) {
    if (!(error instanceof TextError)) throw error;
    return { kind: "refused", message: error.message };
  }
}

serveJobs(handle);
