/** What a parser says of an output, piece by piece. */

/**
 * A piece of what the model wrote. The texts of all "reasoning" events joined are its thoughts, those of all "content" events its
 * answer, and the `text` of all "arguments" events of one `index` the JSON of that call's arguments.
 */
export type ToolEvent =
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "content"; readonly text: string }
  /** A call begins: before its arguments and its end. */
  | { readonly type: "callStart"; readonly index: number; readonly id: string; readonly name: string }
  | { readonly type: "arguments"; readonly index: number; readonly text: string }
  /** The call is over. `complete`: its arguments are valid JSON and whole; else the output was malformed, or ended within them. */
  | { readonly type: "callEnd"; readonly index: number; readonly complete: boolean };

/** A tool as OpenAI's API has it, or only its function. */
export interface ToolDefinition {
  readonly type?: string | undefined;
  readonly function?: FunctionDefinition | undefined;
  readonly name?: string | undefined;
  readonly parameters?: object | null | undefined;
  readonly strict?: boolean | null | undefined;
}

export interface FunctionDefinition {
  readonly name: string;
  readonly description?: string | null | undefined;
  /** JSON schema of the arguments. */
  readonly parameters?: object | null | undefined;
  /** Whether calls are held to the schema, also where the model may answer without one. */
  readonly strict?: boolean | null | undefined;
}

/** The function that a tool definition describes; undefined if it describes none. */
export function functionOf(tool: ToolDefinition): FunctionDefinition | undefined {
  const inner = tool.function ?? tool;
  return typeof inner.name === "string" ? (inner as FunctionDefinition) : undefined;
}

/** Adds an event to a list; text that goes on where the last event ends joins it. */
export function addEvent(events: ToolEvent[], event: ToolEvent): void {
  const last = events.at(-1);
  if (last !== undefined && "text" in last && "text" in event) {
    const isSame =
      last.type === event.type && ("index" in last ? last.index : 0) === ("index" in event ? event.index : 0);
    if (isSame) {
      events[events.length - 1] = { ...last, text: last.text + event.text };
      return;
    }
  }
  events.push(event);
}
