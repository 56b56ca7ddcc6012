/** Requests and responses of node:http as those of fetch. */
import { getRequestListener } from "@hono/node-server";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { App } from "../app.js";

/** As Express calls what it is given, and node:http. */
export type NodeListener = (
  request: IncomingMessage,
  response: ServerResponse,
  next?: (error?: unknown) => void,
) => void;

/** What parsers of bodies leave: Express's in `body`; `rawBody` is what the adaptor reads in place of the stream. */
interface ParsedMessage extends IncomingMessage {
  body?: unknown;
  rawBody?: Buffer;
}

/** @param below the path of a request as one of the app's; undefined: it is none */
export function nodeListener(app: App, below: (path: string) => string | undefined): NodeListener {
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false }); // Request and Response stay Node's
  return (request: ParsedMessage, response, next) => {
    const { url = "/", body } = request;
    const target = below(url);
    const isOurs = target !== undefined && app.hasRoute(/^[^?]*/.exec(target)![0]);
    if (!isOurs && next) return next();
    request.url = target ?? "/"; // which is no route
    if (request.readableDidRead && body !== undefined) request.rawBody ??= bytesOf(body);
    answer(request, response).catch((error: unknown) => {
      if (next) next(error);
      else response.destroy(error as Error);
    });
  };
}

/** What a parser made of a body: bytes (express.raw), text (express.text), or a value (express.json). */
function bytesOf(body: unknown): Buffer {
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
}
