/** What is wrong with the form that was asked of an answer, said of the field that asks for it. */
import { ArgumentRangeError, ArgumentTypeError, TextError } from "../../lib/index.js";
import { badField } from "../errors.js";
import { inFieldNames } from "../failures.js";
import type { Fields } from "../fields/field.js";
import type { WantedFormat } from "../fields/outputFormat.js";

/** Of the engine's errors about a format; those that name a field already are left as they are. */
const ofFormat = /^format(?:\.|: )|^(?=the grammar )/;

/** @throws HttpError 400 in place of an error about the format; else as `run` */
export async function namingFormat<T>(
  wanted: WantedFormat | undefined,
  fields: Fields,
  run: () => Promise<T>,
): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const isArgument =
      error instanceof ArgumentRangeError || error instanceof ArgumentTypeError || error instanceof TextError;
    if (!isArgument) throw error;
    const { message } = error;
    if (message.startsWith("toolChoice: "))
      throw badField("tool_choice", message.slice("toolChoice: ".length));
    if (!ofFormat.test(message)) throw error;
    throw badField(wanted?.field ?? "tools", inFieldNames(message.replace(ofFormat, ""), "prompt", fields));
  }
}
