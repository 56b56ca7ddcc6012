// Runs a parser over an output in pieces, and joins what it says.
import type { ToolDefinition, ToolEvent } from "../../toolcalls/events.js";
import { families, reasonings } from "../../toolcalls/families.js";
import { OutputParser } from "../../toolcalls/parser.js";
import type { OutputChunk, Vocabulary } from "../../toolcalls/tokenPieces.js";
import { type Sample, tools } from "./sample.js";

export interface JoinedCall {
  readonly id: string;
  readonly name: string;
  arguments: string;
  complete?: boolean;
}

/** Events joined, as a client keeps them. */
export interface Joined {
  reasoning: string;
  content: string;
  readonly calls: JoinedCall[];
}

export function parserFor(
  sample: Omit<Sample, "title" | "text">,
  vocabulary?: Vocabulary,
  offered: readonly ToolDefinition[] = tools,
): OutputParser {
  return new OutputParser({
    syntax: families.find(({ name }) => name === sample.family),
    reasoning: reasonings.find(({ name }) => name === sample.reasoningMarkers),
    tools: offered,
    vocabulary,
    startsInReasoning: sample.startsInReasoning ?? false,
  });
}

/** Joins events, and checks their order: a call begins before its arguments, and has one end; one is open at a time. */
export function join(events: readonly ToolEvent[]): Joined {
  const joined: Joined = { reasoning: "", content: "", calls: [] };
  for (const event of events) {
    const open = joined.calls.at(-1);
    if ("index" in event) {
      const isNext = event.type === "callStart" ? joined.calls.length : joined.calls.length - 1;
      if (event.index !== isNext)
        throw new Error(`index ${event.index} of ${event.type}, expected ${isNext}`);
      if ((event.type !== "callStart") !== (open !== undefined && open.complete === undefined))
        throw new Error(`${event.type} of a call that is not open, or while another is`);
    }
    if (event.type === "callStart") joined.calls.push({ id: event.id, name: event.name, arguments: "" });
    else if (event.type === "arguments") open!.arguments += event.text;
    else if (event.type === "callEnd") open!.complete = event.complete;
    else joined[event.type] += event.text;
  }
  return joined;
}

export function parse(parser: OutputParser, chunks: readonly OutputChunk[]): Joined {
  return join([...chunks.flatMap((chunk) => parser.push(chunk)), ...parser.finish()]);
}

/** Without ids, which are random in part. */
export function withoutIds({ reasoning, content, calls }: Joined): object {
  return { reasoning, content, calls: calls.map(({ id: _, ...rest }) => rest) };
}
