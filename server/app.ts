/** The server without a socket: requests in, responses out. */
import { randomUUID } from "node:crypto";
import { type Context, Hono } from "hono";
import { ArgumentTypeError, type LLM } from "../lib/index.js";
import { ApiKeys } from "./apiKeys.js";
import { Calls } from "./calls.js";
import { CallSpans } from "./callSpans.js";
import { dialectOf, isAnthropic } from "./dialect.js";
import type { Engine } from "./engine.js";
import { HttpError } from "./errors.js";
import { asHttpError } from "./failures.js";
import { checkTargets, Fallbacks } from "./fallback/fallbacks.js";
import { addCallerMetrics } from "./limits/callerMetrics.js";
import { Callers } from "./limits/callers.js";
import { keyOf } from "./limits/keyLimits.js";
import { firstToken, latencies, Metrics } from "./metrics.js";
import { type AppOptions, formatChoice, type ResolvedApp, resolveApp } from "./options.js";
import { givenOf } from "./registry/given.js";
import { Registry } from "./registry/registry.js";
import { Shadows } from "./registry/shadows.js";
import { versionOf } from "./registry/version.js";
import { RequestLog } from "./requestLog.js";
import { chatRoute } from "./routes/chat.js";
import { completionsRoute } from "./routes/completions.js";
import { embeddingsRoute } from "./routes/embeddings.js";
import { healthRoutes } from "./routes/health.js";
import { countTokensRoute, messagesRoute } from "./routes/messages.js";
import { type AppEnv, answer, type Serving } from "./routes/answer.js";
import { responsesRoute } from "./routes/responses.js";
import { detokenizeRoute, tokenizeRoute } from "./routes/tokens.js";
import { Turns } from "./turns.js";

export interface App {
  /** Answers a request; whoever listens calls it. */
  readonly fetch: (request: Request) => Response | Promise<Response>;
  /** Whether a path is one of its routes. */
  hasRoute(path: string): boolean;
  /** From now on /ready says no, and requests are refused with 503. */
  drain(): void;
  /** Resolves when no request is open. */
  idle(): Promise<void>;
  /** Ends the open requests with an error. */
  abortAll(): void;
  /** Drains; requests that are open have `drainMs` to finish, and are ended with an error after it. Resolves when none is open. */
  close(drainMs: number): Promise<void>;
}

/** What runs the app reads and stops, too. */
export interface ServedApp extends App {
  readonly calls: Calls;
  readonly shadows: Shadows;
  readonly metrics: Metrics;
}

/**
 * The routes for models that are loaded. Whoever loaded them closes them, after `idle()`.
 *
 * @param models by the names that requests use
 * @throws ArgumentTypeError, ArgumentRangeError
 */
export function createApp(models: Readonly<Record<string, LLM | Engine>>, options: AppOptions = {}): App {
  const resolved = resolveApp(options);
  const given = givenOf(models, resolved.splits);
  checkTargets(resolved, given.names);
  const versions = Array.from(given.models, ([id, model]) => {
    if (typeof model !== "string") return versionOf(id, model, formatChoice(resolved));
    throw new ArgumentTypeError(`models.${id}: expected an LLM or an engine, got ${JSON.stringify(model)}`);
  });
  return appOf(new Registry(given.names, versions), resolved, new RequestLog(resolved));
}

export function appOf(registry: Registry, resolved: ResolvedApp, log: RequestLog): ServedApp {
  const metrics = new Metrics(registry);
  const spans = new CallSpans();
  const callers = new Callers(resolved);
  addCallerMetrics(metrics.registry, callers);
  const calls = new Calls(resolved, [log, metrics, spans, callers]);
  const fallbacks = new Fallbacks(resolved, metrics.registry);
  const { maxBodyBytes, timeoutMs, firstTokenMs } = resolved;
  const buckets = { firstToken, latencies };
  const shadows = new Shadows({ registry, log, timeoutMs, metrics: metrics.registry, buckets });
  const answering = { calls, callers, fallbacks, shadows, log, spans };
  const serving: Serving = { registry, ...answering, maxBodyBytes, times: { timeoutMs, firstTokenMs } };
  const app = new Hono<AppEnv>();
  addMiddleware(app, new ApiKeys(resolved.apiKeys?.map(keyOf)), log, metrics);
  healthRoutes(app, serving);
  app.get("/metrics", async (c) =>
    c.text(await metrics.text(), 200, { "content-type": metrics.contentType }),
  );
  app.get("/v1/models", (c) => {
    const data = registry.names.map((name) => registry.describe(name));
    return c.json({ object: "list", data });
  });
  app.get("/v1/models/:name{.+}", (c) => c.json(registry.describe(registry.find(c.req.param("name")))));
  app.post("/v1/chat/completions", answer(serving, chatRoute));
  app.post("/v1/completions", answer(serving, completionsRoute));
  app.post("/v1/responses", answer(serving, responsesRoute));
  app.post("/v1/messages", answer(serving, messagesRoute));
  app.post("/v1/messages/count_tokens", answer(serving, countTokensRoute));
  app.post("/v1/embeddings", answer(serving, embeddingsRoute));
  app.post("/tokenize", answer(serving, tokenizeRoute));
  app.post("/detokenize", answer(serving, detokenizeRoute));
  const drain = (): void => {
    calls.drain();
    void shadows.stop();
  };
  const idle = async (): Promise<void> => void (await Promise.all([calls.idle(), shadows.idle()]));
  return {
    ...{ calls, shadows, metrics },
    fetch: (request) => app.fetch(request),
    hasRoute: (path) => handlerOf(path) !== other,
    drain,
    idle,
    abortAll: () => calls.abortAll(),
    async close(drainMs) {
      drain();
      const timer = setTimeout(() => calls.abortAll(), drainMs);
      await idle();
      clearTimeout(timer);
    },
  };
}

/** A request costs about 1 ms until it waits for the model; a heap of them comes when a client starts. */
const requestsPerTurn = 2;

/** Ids of requests, keys, and failures; before all routes. */
function addMiddleware(app: Hono<AppEnv>, keys: ApiKeys, log: RequestLog, metrics: Metrics): void {
  const fail = (error: unknown, c: Context<AppEnv>): Response => {
    const failure = asHttpError(error);
    log.failure(c.get("requestId"), failure);
    const requestId = c.get("requestId");
    return failure.response(requestId, dialectOf(c.req.path).body(failure, requestId));
  };
  const turns = new Turns<() => void>(requestsPerTurn, (begin) => begin());
  app.onError(fail);
  app.notFound((c) =>
    fail(new HttpError(404, `no such route: ${c.req.method} ${c.req.path.slice(0, 80)}`), c),
  );
  app.use(async (c, next) => {
    const given = c.req.header("x-request-id") ?? "";
    c.set("requestId", /^[\w.-]{1,128}$/.test(given) ? given : randomUUID());
    const start = performance.now();
    await new Promise<void>((resolve) => turns.add([resolve]));
    await next();
    c.res.headers.set("x-request-id", c.get("requestId"));
    const variant = c.get("variant");
    if (variant !== undefined) c.res.headers.set("x-warploop-variant", encodeURI(variant));
    const fallback = c.get("fallback");
    if (fallback !== undefined) c.res.headers.set("x-warploop-fallback", encodeURI(fallback));
    for (const [name, value] of Object.entries(c.get("caller")?.headers() ?? {}))
      c.res.headers.set(name, value);
    if (isAnthropic(c.req.path)) c.res.headers.set("request-id", c.get("requestId"));
    log.response(c, performance.now() - start);
    metrics.onResponse(handlerOf(c.req.path), c.req.method, c.res.status);
  });
  app.use(async (c, next) => {
    const isOpen = c.req.path === "/health" || c.req.path === "/ready";
    const apiKey = isAnthropic(c.req.path) ? c.req.header("x-api-key") : undefined;
    c.set("tenant", isOpen ? "" : keys.check(c.req.header("authorization"), apiKey));
    await next();
  });
}

const other = "other";
const handlers =
  /^\/(v1\/(chat\/completions|completions|responses|messages|messages\/count_tokens|embeddings|models)|(de)?tokenize|health|ready|metrics)$/;

/** The path of a request as a label, of which there must be few. */
function handlerOf(path: string): string {
  if (path.startsWith("/v1/models/")) return "/v1/models/:name";
  return handlers.test(path) ? path : other;
}
