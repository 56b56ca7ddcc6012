/**
 * A request to another server with OpenAI's routes, and its answer. Of the client's headers nothing is sent on, and so no key; the URL is
 * the operator's alone.
 */
import { clientGone, HttpError, unavailable } from "../errors.js";
import type { FallbackServer } from "./options.js";

export interface Relayed {
  readonly path: string;
  /** As the client sent it. */
  readonly body: object;
  readonly requestId: string;
  /** Ends it, with an HttpError as reason. */
  readonly signal: AbortSignal;
  /** Until the answer begins, in milliseconds. */
  readonly beginMs: number;
  /** An event with an error, for a stream that has begun. */
  readonly failure: (error: HttpError) => string;
  /** Is called when nothing more comes, once or more often. */
  readonly onEnd: (error?: HttpError) => void;
}

/** An answer, of whomever. */
export interface RelayAnswer {
  readonly response: Response;
  /** Whether it is a stream, which goes on. */
  readonly isStream: boolean;
}

const routes = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

/** Whether servers that say they are compatible have a route. */
export function isRelayed(path: string): boolean {
  return routes.includes(path);
}

/** @throws HttpError; 429, 503 and 504 where the server does not answer, others where the request is wrong */
export async function relay(server: FallbackServer, asked: Relayed): Promise<RelayAnswer> {
  const begin = new AbortController();
  const timer = setTimeout(
    () => begin.abort(new HttpError(504, "no answer in time", { code: "timeout" })),
    asked.beginMs,
  );
  const signal = AbortSignal.any([asked.signal, begin.signal]);
  try {
    const response = await ask(server, asked, signal);
    const type = response.headers.get("content-type") ?? "";
    const isStream = /^text\/event-stream\b/i.test(type);
    const headers = { "content-type": type, "cache-control": "no-cache", "x-accel-buffering": "no" };
    if (!isStream) return { isStream, response: new Response(await response.arrayBuffer(), { headers }) };
    const reader = response.body!.getReader();
    const first = await reader.read(); // of an answer that does not begin others may be asked
    if (first.done) throw unavailable("the other server has sent nothing");
    return { isStream, response: new Response(passedOn(first.value, reader, asked), { headers }) };
  } catch (error) {
    if (error instanceof HttpError) throw error;
    if (signal.aborted) throw signal.reason;
    throw unavailable("the other server cannot be reached", error);
  } finally {
    clearTimeout(timer);
  }
}

async function ask(
  { url, model, apiKey }: FallbackServer,
  { path, body, requestId }: Relayed,
  signal: AbortSignal,
): Promise<Response> {
  const response = await fetch(url.replace(/\/+$/, "") + path.replace(/^\/v1/, ""), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-request-id": requestId,
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    },
    body: JSON.stringify({ ...body, model }),
    redirect: "error", // the key is for this server
    signal,
  });
  if (response.ok) return response;
  const { status } = response;
  const text = await response.text();
  if (status === 429) throw new HttpError(429, "the other server is overloaded", { code: "queue_full" });
  if (status === 400 || status === 413 || status === 422) throw refusal(status, text);
  throw unavailable("the other server does not answer", new Error(`${url}: status ${status}`));
}

/** What is wrong with the request, in the words of the other server. */
function refusal(status: number, text: string): HttpError {
  interface Said {
    readonly error?: { readonly message?: unknown; readonly param?: unknown; readonly code?: unknown };
  }
  let said: Said["error"];
  try {
    said = (JSON.parse(text) as Said).error;
  } catch {
    // No JSON: nothing is known but the status.
  }
  const word = (value: unknown, length: number): string | undefined =>
    typeof value === "string" ? value.slice(0, length) : undefined;
  return new HttpError(status, word(said?.message, 1000) ?? "the request is refused", {
    param: word(said?.param, 100),
    code: word(said?.code, 100) ?? "invalid_request",
  });
}

function passedOn(
  first: Uint8Array,
  reader: ReadableStreamDefaultReader<Uint8Array>,
  { signal, failure, onEnd }: Relayed,
): ReadableStream<Uint8Array> {
  // Also where the client does not read on, which would be told of it by the next read.
  signal.addEventListener("abort", () => onEnd(signal.reason as HttpError), { once: true });
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(first),
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        onEnd();
      } catch (cause) {
        const gone = signal.aborted
          ? (signal.reason as HttpError)
          : unavailable("the answer broke off", cause);
        onEnd(gone);
        // It may have broken off inside an event, which the empty line ends.
        if (gone.status !== clientGone) controller.enqueue(Buffer.from(`\n\n${failure(gone)}`));
      }
      controller.close();
    },
    async cancel() {
      onEnd(new HttpError(clientGone, "the client has gone"));
      await reader.cancel();
    },
  });
}
