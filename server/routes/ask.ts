/** One try to answer a request: by a model of this server, or by another server. What is thrown has not reached the client. */
import type { Context } from "hono";
import type { Call } from "../calls.js";
import { dialectOf } from "../dialect.js";
import { clientGone, HttpError } from "../errors.js";
import { asHttpError } from "../failures.js";
import type { FallbackServer } from "../fallback/options.js";
import { relay, type RelayAnswer } from "../fallback/relay.js";
import type { Body, Fields } from "../fields/field.js";
import { eventResponse, untilToken } from "../sse.js";
import type { AppEnv, Route, Serving } from "./answer.js";

/** A request whose fields have been checked. */
export interface Asked<F extends Fields> {
  readonly c: Context<AppEnv>;
  readonly body: Body<F>;
  /** As it was sent. */
  readonly raw: object;
  /** Whose it is, where it says so. */
  readonly key: string | undefined;
  /** Whether it may be tried again: a stream begins with its first token then. */
  readonly isGuarded: boolean;
  /** The try before this one. */
  readonly before?: Call | undefined;
  /** To be called when a stream has ended. */
  readonly leave: () => void;
}

/**
 * @param model a name that is served
 * @param onBegin is told of the call
 * @throws HttpError
 */
export async function askModel<F extends Fields>(
  { registry, calls, shadows, log, spans, times }: Serving,
  { fields, operation, promptField, reply }: Route<F>,
  model: string,
  { c, body, key, isGuarded, before, leave }: Asked<F>,
  onBegin: (call: Call) => void,
): Promise<RelayAnswer> {
  const { requestId, tenant } = c.var;
  const { name, version } = registry.draw(model, key);
  c.set("variant", version.id);
  const client = c.req.raw.signal;
  const call = calls.begin({ requestId, tenant, version, model: name, client, before });
  onBegin(call);
  log.prompt(call, body[promptField]);
  if (operation) {
    spans.begin(call, operation, c.req.raw.headers, body);
    shadows.send(call, (shadow) => reply(body, shadow));
  }
  const asError = (error: unknown): HttpError => call.abortReason ?? asHttpError(error, promptField, fields);
  const logged = (cause: unknown): HttpError => {
    const error = asError(cause);
    log.failure(requestId, error);
    return error;
  };
  const late = new HttpError(504, "no token came in time", { code: "timeout" });
  const abort = (): void => (call.hasToken ? undefined : call.abort(late));
  const timer = isGuarded && times.firstTokenMs !== undefined && setTimeout(abort, times.firstTokenMs);
  try {
    const { json, events } = await reply(body, call);
    if (events) {
      const begun = isGuarded ? await untilToken(call, events) : events;
      const response = eventResponse(call, begun, logged, dialectOf(c.req.path), leave);
      return { response, isStream: true };
    }
    call.end();
    return { response: c.json(json), isStream: false };
  } catch (cause) {
    const error = asError(cause);
    call.end(error);
    throw error;
  } finally {
    if (timer) clearTimeout(timer);
  }
}

/** @throws HttpError */
export async function askServer<F extends Fields>(
  { calls, log, times }: Serving,
  server: FallbackServer,
  { c, raw, leave }: Asked<F>,
): Promise<RelayAnswer> {
  const { requestId } = c.var;
  const client = c.req.raw.signal;
  const { path } = c.req;
  const isStream = (raw as { readonly stream?: unknown }).stream === true;
  c.set("variant", undefined);
  const ending = new AbortController();
  const release = calls.hold((reason) => ending.abort(reason));
  const gone = (): void => ending.abort(new HttpError(clientGone, "the client has gone"));
  const timeout = new HttpError(504, "the request took too long", { code: "timeout" });
  const timer = setTimeout(() => ending.abort(timeout), times.timeoutMs);
  client.addEventListener("abort", gone);
  if (client.aborted) gone();
  let isOver = false;
  const onEnd = (error?: HttpError): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    client.removeEventListener("abort", gone);
    release();
    if (error) log.failure(requestId, error);
  };
  const asked = { path, body: raw, requestId, signal: ending.signal };
  try {
    const answered = await relay(server, {
      // What is no stream begins when all of it is there.
      ...{ ...asked, beginMs: (isStream && times.firstTokenMs) || times.timeoutMs },
      failure: (error) => dialectOf(path).failure(error, requestId),
      onEnd: (error) => (onEnd(error), leave()),
    });
    if (!answered.isStream) onEnd();
    return answered;
  } catch (error) {
    onEnd(error as HttpError);
    throw error;
  }
}
