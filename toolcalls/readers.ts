/** What reads a text that finds its own end. */
import { EnvelopeReader } from "./envelope.js";
import { JsonReader, type ReaderStep } from "./jsonScanner.js";
import { PythonLiteral } from "./pythonLiteral.js";
import type { TextRule } from "./syntax.js";

export interface Reader {
  push(text: string): ReaderStep;
  /** Text that was read and not handed out, when the end does not come. */
  readonly unfinished: string;
}

/** @param isBare see EnvelopeReader */
export function readerOf(rule: TextRule, isBare: boolean): Reader {
  if (rule === "envelope") return new EnvelopeReader(isBare);
  return rule === "python" ? new PythonLiteral() : new JsonReader();
}
