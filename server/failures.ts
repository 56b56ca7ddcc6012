/**
 * What went wrong in the engine as a failure that a client may see. Its own mistake is told with the field that it is about; of ours it
 * learns no more than that there was one, since messages of files and kernels hold paths.
 */
import {
  ArgumentRangeError,
  ArgumentTypeError,
  CheckpointError,
  TextError,
  WarploopError,
} from "../lib/index.js";
import { badField, HttpError, unavailable } from "./errors.js";
import type { Fields } from "./fields/field.js";

/** Codes of failures that the request is to blame for, and what OpenAI calls them where it has a word. */
const clientCodes: Readonly<Record<string, string | undefined>> = {
  ERR_CONTEXT_LENGTH: "context_length_exceeded",
  ERR_CAPACITY: "context_length_exceeded",
  ERR_TOKENIZER: undefined,
  ERR_CHAT_TEMPLATE: undefined,
  ERR_ALL_BANNED: undefined,
};
/** Codes after which another server, or this one later, may answer. */
const passingCodes = [
  "ERR_CLOSED",
  "ERR_ABORTED",
  "ERR_STALLED",
  "ERR_EXECUTION",
  "ERR_OUT_OF_MEMORY",
  "ERR_ENGINE_EXIT",
];

/** Whether a model that makes vectors was asked for text. */
export function isWithoutHead(error: unknown): boolean {
  return error instanceof CheckpointError && error.tensor === "lm_head.weight";
}

/**
 * Whatever a handler threw. The cause of one of ours is kept for the log.
 * @param promptField what the route calls what the model reads
 * @param fields of the route
 */
export function asHttpError(error: unknown, promptField = "prompt", fields: Fields = {}): HttpError {
  if (error instanceof HttpError) return error;
  if (isWithoutHead(error)) return badField("model", "makes vectors (/v1/embeddings), and no text");
  const isArgument = error instanceof ArgumentTypeError || error instanceof ArgumentRangeError;
  if (isArgument || (error instanceof WarploopError && error.code in clientCodes)) {
    const message = inFieldNames(withoutFolders(error), promptField, fields);
    const unread = unreadField(error, fields);
    if (unread !== undefined) return badField(unread, message);
    const param = isArgument ? /^[\w.[\]]+(?=: )/.exec(message)?.[0] : undefined;
    return new HttpError(400, message, { param, code: clientCodes[error.code], cause: error });
  }
  if (error instanceof WarploopError && passingCodes.includes(error.code))
    return unavailable("the model does not answer requests now", error);
  if (error instanceof WarploopError && error.code === "ERR_QUEUE_FULL")
    // of a model with the option maxWaiting
    return new HttpError(429, "too many requests wait; try again later", {
      ...{ code: "queue_full", retryAfterS: 1, cause: error },
    });
  return new HttpError(500, "internal error; the server's log has more under the request's id", {
    cause: error,
  });
}

/** The message of a client's mistake, where the checkpoint's file is named without the folder that it is in. */
function withoutFolders(error: Error): string {
  const { message } = error;
  if (!(error instanceof TextError) || error.file === undefined) return message;
  return message.replaceAll(error.file, error.file.slice(error.file.lastIndexOf("/") + 1));
}

/** The field that gives a template a variable that it does not read. */
function unreadField({ code, message }: WarploopError, fields: Fields): string | undefined {
  const name = code === "ERR_CHAT_TEMPLATE" ? /: it does not read (\w+)/.exec(message)?.[1] : undefined;
  if (name === undefined) return undefined;
  if (Object.hasOwn(fields, name)) return name;
  if (Object.hasOwn(fields, "chat_template_kwargs")) return `chat_template_kwargs.${name}`;
  return name === "reasoning_effort" && Object.hasOwn(fields, "reasoning") ? "reasoning.effort" : undefined;
}

/** A message of the engine with the names that a request has for its options. */
export function inFieldNames(message: string, promptField: string, fields: Fields): string {
  const names = Object.entries(fields).flatMap(([name, field]) =>
    field.status === "supported" && field.option !== undefined
      ? [[field.option as string, name] as const]
      : [],
  );
  const fieldOfOption = new Map(names.reverse()); // of two the first
  return message
    .replace(/^(prompt|texts|decode: ids)\b/, promptField)
    .replace(/^messages\b(\[\d+\])?/, (said) => (promptField === "messages" ? said : promptField)) // of which it is made
    .replaceAll(/(?<![\w/"~])[a-z]+[A-Z]\w*/g, (name) => fieldOfOption.get(name) ?? name); // those of a schema stay
}
