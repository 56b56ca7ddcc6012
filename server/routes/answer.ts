/** What all routes with a body have in common: reading and checking it, and whoever answers. */
import type { Handler } from "hono";
import type { Call, Calls } from "../calls.js";
import type { CallSpans, Operation } from "../callSpans.js";
import { clientGone, HttpError } from "../errors.js";
import type { Fallbacks } from "../fallback/fallbacks.js";
import { isRelayed } from "../fallback/relay.js";
import { type Body, type Fields, parseBody } from "../fields/field.js";
import type { Caller, Callers } from "../limits/callers.js";
import type { Registry } from "../registry/registry.js";
import type { Shadows } from "../registry/shadows.js";
import { stickyKey } from "../registry/stickyKey.js";
import type { RequestLog } from "../requestLog.js";
import { askModel, askServer } from "./ask.js";

/** What a request carries along. */
export interface AppEnv {
  Variables: {
    requestId: string;
    tenant: string;
    /** Who asks. */
    caller?: Caller;
    /** The version that answers. */
    variant?: string | undefined;
    /** The name that answers in place of the one that was asked. */
    fallback?: string | undefined;
  };
}

export interface Serving {
  readonly registry: Registry;
  readonly calls: Calls;
  readonly callers: Callers;
  readonly fallbacks: Fallbacks;
  readonly shadows: Shadows;
  readonly log: RequestLog;
  readonly spans: CallSpans;
  readonly maxBodyBytes: number;
  readonly times: Times;
}

interface Times {
  readonly timeoutMs: number;
  readonly firstTokenMs: number | undefined;
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
  const { callers, calls, fallbacks, registry } = serving;
  return async (c) => {
    const { path } = c.req;
    const { signal, headers } = c.req.raw;
    const caller = callers.of(c.var.tenant);
    c.set("caller", caller);
    const leave = caller.enter(); // before the body is read, which may take long
    let isStream = false;
    try {
      const raw = await readJson(c.req.raw, serving.maxBodyBytes);
      const body = parseBody(route.fields, raw);
      const name = registry.find(body["model"] as string | undefined);
      const key = stickyKey(headers, body);
      const asked = { ...{ c, body, raw: raw as object, key, leave }, isGuarded: fallbacks.guards(name) };
      let call: Call | undefined;
      const answered = await fallbacks.answer(
        name,
        (target) => typeof target === "string" || isRelayed(path),
        {
          ask(target) {
            if (target !== name) c.set("fallback", typeof target === "string" ? target : target.model);
            if (typeof target !== "string") return askServer(serving, target, asked);
            return askModel(serving, route, target, { ...asked, before: call }, (begun) => (call = begun));
          },
          hadToken: () => call?.hasToken ?? false,
          goesOn: () => !calls.isDraining && !signal.aborted,
        },
      );
      isStream = answered.isStream;
      return answered.response;
    } catch (error) {
      c.set("fallback", undefined);
      if (error instanceof HttpError && error.status === clientGone)
        return new Response(null, { status: clientGone });
      throw error;
    } finally {
      if (!isStream) leave();
    }
  };
}

/**
 * The body as JSON. Other types are refused: a page of another site may send those to this machine without asking first.
 * @throws HttpError 400, 413, 415; 499 where its client leaves
 */
export async function readJson({ headers, body }: Request, maxBytes: number): Promise<unknown> {
  if (!/^application\/json\s*(;|$)/i.test(headers.get("content-type") ?? ""))
    throw new HttpError(415, "expected Content-Type: application/json");
  const tooLarge = new HttpError(413, `the body is larger than ${maxBytes} bytes`);
  if (Number(headers.get("content-length") ?? 0) > maxBytes) throw tooLarge;
  const parts: Uint8Array[] = [];
  let numBytes = 0;
  const reader = body?.getReader();
  const read = async () =>
    reader?.read().catch((cause: unknown) => {
      throw new HttpError(clientGone, "the client has gone", { cause });
    });
  for (let next = await read(); next?.value; next = await read()) {
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
