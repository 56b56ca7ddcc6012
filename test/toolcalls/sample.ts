// The form of a sample of output, and the tools that samples call.
import type { ToolDefinition } from "../../toolcalls/events.js";

export interface SampleCall {
  readonly name: string;
  readonly arguments: unknown;
  /** The id, where the output or the family says it. */
  readonly id?: string | RegExp;
}

export interface Sample {
  readonly title: string;
  /** Name of the family's row. */
  readonly family: string;
  readonly reasoningMarkers?: "think" | "mistral";
  readonly startsInReasoning?: true;
  readonly text: string;
  readonly reasoning?: string;
  readonly content?: string;
  readonly calls?: readonly SampleCall[];
}

const object = (properties: object): object => ({ type: "object", properties });
const tool = (name: string, properties: object): ToolDefinition => ({
  type: "function",
  function: { name, description: `what ${name} does`, parameters: object(properties) },
});

export const tools: readonly ToolDefinition[] = [
  tool("get_weather", {
    city: { type: "string" },
    days: { type: "integer" },
    units: { enum: ["metric", "imperial"] },
    detail: { anyOf: [{ type: "boolean" }, { type: "null" }] },
  }),
  tool("write_file", {
    path: { type: "string" },
    text: { type: "string" },
    mode: { type: ["string", "null"] },
  }),
  tool("search", {
    query: { type: "string" },
    tags: { type: "array", items: { type: "string" } },
    filter: { $ref: "#/$defs/filter" },
  }),
  tool("now", {}),
];

/** Text that JSON has to escape, with tags and line breaks at its ends. */
export const code = '\tif (a < b && c == "d") {\n\t\treturn `</div>`; // é 😀\n\t}\n';
