/** Fields about tools that OpenAI's routes have in common. */
import { z } from "zod";
import { supported } from "./field.js";

export const schemaOfArguments = z.looseObject({}, "expected a JSON schema");

const choices = ["auto", "none"];

/** @param tool one of the route's */
export const toolFields = <Tool extends z.ZodType>(tool: Tool) => ({
  tools: supported(
    z.array(tool).max(1024),
    "functions that the model may call; `strict` is not enforced: arguments are what the model writes",
  ),
  tool_choice: supported(
    z.custom<string>(
      (value) => choices.includes(value as string),
      `expected ${choices.map((one) => JSON.stringify(one)).join(" or ")}: answers cannot be constrained to a call yet`,
    ),
    "`auto` (default), or `none`: the model is not told of the tools. Others need constrained output, which is not there yet",
  ),
  parallel_tool_calls: supported(z.boolean(), "false: of several calls the first is kept; default true"),
});
