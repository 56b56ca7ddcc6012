/** Fields about tools that OpenAI's routes have in common. */
import { z } from "zod";
import { supported } from "./field.js";

export const schemaOfArguments = z.looseObject({}, "expected a JSON schema");

/** Functions that the model may call, each by a name of its own. @param nameAt where a tool has it */
export const toolList = <Tool extends z.ZodType>(tool: Tool, nameAt: readonly string[]) =>
  z
    .array(tool)
    .max(1024)
    .superRefine((tools, context) => {
      const seen = new Set<unknown>();
      for (const [i, one] of tools.entries()) {
        const name = nameAt.reduce<unknown>((at, key) => (at as Readonly<Record<string, unknown>>)[key], one);
        if (seen.has(name)) {
          const message = `expected a name of its own: ${JSON.stringify(name)} is another tool's`;
          context.addIssue({ code: "custom", path: [i, ...nameAt], message });
        }
        seen.add(name);
      }
    });

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

/** @param list of the route's tools @param nameOf where the route has the name of a function that is chosen */
export const toolFields = <Tool extends z.ZodType>(
  list: ReturnType<typeof toolList<Tool>>,
  nameOf: NameOf,
) => ({
  tools: supported(
    list,
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
