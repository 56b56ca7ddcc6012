/** How an API writes failures, and the events of its streams. */
import type { HttpError } from "./errors.js";

export interface Dialect {
  /** The body of a response that fails. */
  body(error: HttpError, requestId: string): object;
  /** A server-sent event. */
  frame(event: object): string;
  /** What a stream ends with. */
  readonly end: string;
  /** What it ends with if it fails. */
  failure(error: HttpError, requestId: string): string;
}

const data = (value: object): string => `data: ${JSON.stringify(value)}\n\n`;
/** With the name that clients look at first. */
const named = (event: object): string =>
  `event: ${(event as { readonly type: string }).type}\n${data(event)}`;

export const openai: Dialect = {
  body: (error) => error.body,
  frame: data,
  end: "data: [DONE]\n\n",
  failure: (error) => data(error.body),
};

/** OpenAI's /v1/responses: events have names, and their stream has no end but the last of them. */
export const responses: Dialect = {
  ...openai,
  frame: named,
  end: "",
  // Not the type "error" with a code beside it, which OpenAI's client hands on as an event like others: this it throws.
  failure: (error) => `event: error\n${data(error.body)}`,
};

const anthropicTypes: Readonly<Record<number, string>> = {
  401: "authentication_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
};

const anthropicError = ({ status, message }: HttpError, request_id: string) => ({
  type: "error",
  error: {
    type: anthropicTypes[status] ?? (status < 500 ? "invalid_request_error" : "api_error"),
    message,
  },
  request_id,
});

export const anthropic: Dialect = {
  body: anthropicError,
  frame: named,
  end: "",
  failure: (error, requestId) => named(anthropicError(error, requestId)),
};

/** That of a route. */
export function dialectOf(path: string): Dialect {
  if (isAnthropic(path)) return anthropic;
  return path === "/v1/responses" ? responses : openai;
}

export const isAnthropic = (path: string): boolean => /^\/v1\/messages(\/|$)/.test(path);
