/** Fields about tools that OpenAI's routes have in common. */
import { z } from "zod";
import { supported } from "./field.js";

export const schemaOfArguments = z.looseObject({}, "expected a JSON schema");

/** Which tools the model may call, or has to. */
export type AskedChoice = "auto" | "none" | "required" | { readonly name: string };

/** The name of the function that a choice has, in the form of one route. */
type NameOf = (choice: Readonly<Record<string, unknown>>) => unknown;

const expected = 'expected "auto", "none", "required" or a function with its name';
const choiceOf = (value: unknown, nameOf: NameOf): AskedChoice | undefined => {
  if (value === "auto" || value === "none" || value === "required") return value;
  if (typeof value !== "object" || value === null) return undefined;
  const { type } = value as { readonly type?: unknown };
  const name = type === "function" ? nameOf(value as Readonly<Record<string, unknown>>) : undefined;
  return typeof name === "string" && name !== "" ? { name } : undefined;
};

interface ChoiceBody<Tool> {
  readonly tools?: readonly Tool[] | undefined;
  readonly tool_choice?: AskedChoice | undefined;
}

/** What a chat is asked of tools. */
export function choiceOptions<Tool>({ tools, tool_choice: choice = "auto" }: ChoiceBody<Tool>): {
  readonly tools?: readonly Tool[] | undefined;
  readonly toolChoice: Exclude<AskedChoice, "none">;
} {
  return choice === "none" ? { tools: [], toolChoice: "auto" } : { tools, toolChoice: choice };
}

/** @param tool one of the route's @param nameOf where the route has the name of a function that is chosen */
export const toolFields = <Tool extends z.ZodType>(tool: Tool, nameOf: NameOf) => ({
  tools: supported(
    z.array(tool).max(1024),
    "functions that the model may call; `strict: true`: its calls obey the schema, whether they have to come or not",
  ),
  tool_choice: supported(
    z.unknown().transform((value, context): AskedChoice => {
      const choice = choiceOf(value, nameOf);
      if (choice !== undefined) return choice;
      context.addIssue({ code: "custom", message: expected });
      return z.NEVER;
    }),
    "`auto` (default); `none`: the model is not told of the tools; `required`, or a function by its name: the answer is calls that obey the schemas of the tools, but for those with `strict: false`",
  ),
  parallel_tool_calls: supported(
    z.boolean(),
    "false: there is one call where calls are enforced, else the first of several is kept; default true",
  ),
});
