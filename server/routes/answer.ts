/** What all routes with a body have in common: reading and checking it, a call with a signal, and both forms of an answer. */
import type { Handler } from "hono";
import type { Call, Calls } from "../calls.js";
import type { CallSpans, Operation } from "../callSpans.js";
import { dialectOf } from "../dialect.js";
import { clientGone, HttpError } from "../errors.js";
import { asHttpError } from "../failures.js";
import { type Body, type Fields, parseBody } from "../fields/field.js";
import type { Registry } from "../registry/registry.js";
import type { Shadows } from "../registry/shadows.js";
import { stickyKey } from "../registry/stickyKey.js";
import type { RequestLog } from "../requestLog.js";
import { eventResponse } from "../sse.js";

/** What a request carries along. */
export interface AppEnv {
  Variables: {
    requestId: string;
    tenant: string;
    /** The version that answers. */
    variant?: string;
  };
}

export interface Serving {
  readonly registry: Registry;
  readonly calls: Calls;
  readonly shadows: Shadows;
  readonly log: RequestLog;
  readonly spans: CallSpans;
  readonly maxBodyBytes: number;
}

/** The answer as one object, or as events. */
export type Reply =
  | { readonly json: object; readonly events?: undefined }
  | { readonly events: AsyncGenerator<object, void, void>; readonly json?: undefined };

export interface Route<F extends Fields> {
  readonly fields: F;
  /** What its span is called; without it there is none. */
  readonly operation?: Operation;
  /** The field with what the model reads. */
  readonly promptField: keyof F & string;
  /** What fails before the reply is there has a status of its own. @throws as the engine; HttpError */
  readonly reply: (body: Body<F>, call: Call) => Promise<Reply>;
}

export function answer<F extends Fields>(serving: Serving, route: Route<F>): Handler<AppEnv> {
  const { fields, operation, promptField, reply } = route;
  const { calls, shadows, registry, log, spans, maxBodyBytes } = serving;
  return async (c) => {
    const client = c.req.raw.signal;
    const body = parseBody(fields, await readJson(c.req.raw, maxBodyBytes));
    const key = stickyKey(c.req.raw.headers, body);
    const { name, version } = registry.draw(body["model"] as string | undefined, key);
    c.set("variant", version.id);
    const { requestId, tenant } = c.var;
    const call = calls.begin({ requestId, tenant, version, model: name, client });
    log.prompt(call, body[promptField]);
    if (operation) {
      spans.begin(call, operation, c.req.raw.headers, body);
      shadows.send(call, (shadow) => reply(body, shadow));
    }
    const asError = (error: unknown): HttpError =>
      call.abortReason ?? asHttpError(error, promptField, fields);
    try {
      const { json, events } = await reply(body, call);
      if (events) return eventResponse(call, events, logged, dialectOf(c.req.path));
      call.end();
      return c.json(json);
    } catch (cause) {
      const error = asError(cause);
      call.end(error);
      if (error.status === clientGone) return new Response(null, { status: clientGone });
      throw error;
    }

    function logged(cause: unknown): HttpError {
      const error = asError(cause);
      log.failure(requestId, error);
      return error;
    }
  };
}

/**
 * The body as JSON. Other types are refused: a page of another site may send those to this machine without asking first.
 * @throws HttpError 400, 413, 415
 */
export async function readJson({ headers, body }: Request, maxBytes: number): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(headers.get("content-type") ?? ""))
    throw new HttpError(415, "expected Content-Type: application/json");
  const tooLarge = new HttpError(413, `the body is larger than ${maxBytes} bytes`);
  if (Number(headers.get("content-length") ?? 0) > maxBytes) throw tooLarge;
  const parts: Uint8Array[] = [];
  let numBytes = 0;
  const reader = body?.getReader();
  for (let next = await reader?.read(); next?.value; next = await reader?.read()) {
    numBytes += next.value.length;
    if (numBytes > maxBytes) throw tooLarge;
    parts.push(next.value);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString()) as unknown;
  } catch {
    throw new HttpError(400, "the body is no JSON");
  }
}
