/** A value instead of a text: JSON that is generated for a schema, read, and checked. */
import { describe, readArguments, readOptions } from "../arguments.js";
import { ArgumentTypeError, FormatError } from "../errors.js";
import {
  isZodSchema,
  jsonSchemaOf,
  parseWithZod,
  type ZodOutput,
  type ZodSchema,
} from "../grammar/zodSchema.js";
import type { ChatMessage } from "../text/chatTemplate.js";
import { chatOptionNames, type ChatOptions, isChat, requireNoChatOptions } from "./chatOptions.js";
import type { GenerateOptions } from "./generateOptions.js";
import type { GenerateResult, GenerationStream } from "./generationStream.js";
import type { Prompt } from "./prompt.js";

/** A schema of zod 4, or a JSON Schema. */
export type ObjectSchema = ZodSchema | Readonly<Record<string, unknown>> | boolean;

/** Options of `object`: those of `generate`, and for messages of `chat`, but what makes several texts, or another form. */
export type ObjectOptions = Omit<ChatOptions, "format" | "n">;

export interface ObjectResult<T> extends Pick<GenerateResult, "text" | "usage"> {
  readonly value: T;
}

/** What a schema says of its values: one of zod their type, a JSON Schema none. */
export type ValueOf<S extends ObjectSchema> = S extends ZodSchema ? ZodOutput<S> : unknown;

const objectOptionNames = chatOptionNames.filter((name) => name !== "format" && name !== "n");

/** What it needs of a loaded model. */
export interface TextWriter {
  generate(prompt: Prompt, options: GenerateOptions): GenerationStream;
  chat(messages: readonly ChatMessage[], options: ChatOptions): GenerationStream;
}

/** @throws ArgumentTypeError, ArgumentRangeError; FormatError; as generate, and as chat */
export async function generateObject<S extends ObjectSchema>(
  prompt: Prompt | readonly ChatMessage[],
  schema: S,
  given: ObjectOptions,
  writer: TextWriter,
): Promise<ObjectResult<ValueOf<S>>> {
  const options = readOptions("object", given, objectOptionNames);
  const zod = readArguments("schema", () => {
    if (isZodSchema(schema)) return schema;
    if (
      typeof schema === "boolean" ||
      (typeof schema === "object" && schema !== null && !Array.isArray(schema))
    )
      return undefined;
    throw new ArgumentTypeError(`schema: expected one of zod 4, or a JSON Schema, got ${describe(schema)}`);
  });
  const json = zod ? await jsonSchemaOf(zod) : (schema as object | boolean);
  const all = { ...options, format: { schema: json } };
  const stream = readArguments("prompt", () => isChat(prompt))
    ? writer.chat(prompt as readonly ChatMessage[], all)
    : writer.generate(prompt as Prompt, withoutChatOptions(prompt, all));
  const { text, usage, finishReason, stopReason } = await stream.result();
  if (finishReason !== "stop") {
    const reason = { length: "maxTokens or the context", abort: "an abort" }[finishReason as string];
    throw new FormatError(`the text is not complete: ${reason ?? finishReason} ended it`, text, finishReason);
  }
  // What is before it may be JSON all the same: a number that is cut. Ids of stopTokenIds come only where the text is complete.
  if (typeof stopReason === "string")
    throw new FormatError("the text is not complete: a stop string ended it", text, finishReason);
  let value: unknown = JSON.parse(text);
  if (zod) {
    const parsed = await parseWithZod(zod, value);
    if ("error" in parsed) {
      const problem = `a check of the schema refuses the value: ${parsed.error.message}`;
      throw new FormatError(problem, text, finishReason, { cause: parsed.error.cause });
    }
    ({ value } = parsed);
  }
  return { value: value as ValueOf<S>, text, usage };
}

function withoutChatOptions(
  prompt: unknown,
  { tools, templateName, parseSpecial, templateOptions, ...options }: ChatOptions,
): GenerateOptions {
  requireNoChatOptions("object", prompt, { tools, templateName, parseSpecial, templateOptions });
  return options;
}
