/**
 * The admin plane: what the models' names stand for, seen and changed while the server runs. It has a port and keys of its own. Whoever
 * has a key decides what this machine loads: requests here may name a model's folder, which those to the public port never do.
 */
import { type Context, Hono } from "hono";
import type { ApiKeys } from "../apiKeys.js";
import type { Calls } from "../calls.js";
import { HttpError } from "../errors.js";
import type { Metrics } from "../metrics.js";
import type { Changes, Reason } from "../registry/changes.js";
import type { Registry } from "../registry/registry.js";
import type { RequestLog } from "../requestLog.js";
import { readJson } from "../routes/answer.js";
import { loadBody, nameBody, parse, removeQuery, swapBody } from "./bodies.js";

export interface Administered {
  readonly registry: Registry;
  readonly changes: Changes;
  readonly calls: Calls;
  readonly metrics: Metrics;
  readonly log: RequestLog;
}

interface AdminEnv {
  Variables: { who: string };
}

const maxBodyBytes = 65_536;

export function adminApp(administered: Administered, keys: ApiKeys): Hono<AdminEnv> {
  const { changes, metrics, log } = administered;
  const app = new Hono<AdminEnv>();
  const fail = (error: unknown): Response => {
    const known = error instanceof HttpError ? error : new HttpError(500, String(error), { cause: error });
    log.failure("admin", known);
    return Response.json(known.body, { status: known.status });
  };
  app.onError(fail);
  app.notFound((c) => fail(new HttpError(404, `no such route: ${c.req.method} ${c.req.path.slice(0, 80)}`)));
  app.use(async (c, next) => {
    c.set("who", `key ${keys.check(c.req.header("authorization"))}`);
    await next();
  });
  const changed = async (c: Context<AdminEnv>): Promise<Response> => c.json(await shown(administered));
  const body = (c: Context<AdminEnv>) => readJson(c.req.raw, maxBodyBytes);
  const reason = (c: Context<AdminEnv>, what: string): Reason => ({ who: c.get("who"), what });
  app.get("/state", changed);
  app.get("/metrics", async (c) =>
    c.text(await metrics.text(), 200, { "content-type": metrics.contentType }),
  );
  app.put("/names/:name", async (c) => {
    const name = c.req.param("name");
    const change = parse(nameBody, await body(c));
    await changes.change(reason(c, `change ${name}: ${JSON.stringify(change)}`), name, change);
    return changed(c);
  });
  app.post("/names/:name/swap", async (c) => {
    const name = c.req.param("name");
    const swap = parse(swapBody, await body(c));
    await changes.swap(reason(c, `swap ${name} to ${swap.version}`), name, swap);
    return changed(c);
  });
  app.post("/names/:name/rollback", async (c) => {
    const name = c.req.param("name");
    await changes.rollBack(reason(c, `roll back ${name}`), name);
    return changed(c);
  });
  app.post("/versions", async (c) => {
    const { version, model } = parse(loadBody, await body(c));
    await changes.load(reason(c, `load ${version} from ${model}`), version, model);
    return changed(c);
  });
  app.delete("/versions/:id", async (c) => {
    const id = c.req.param("id");
    const { drainMs = 30_000 } = parse(removeQuery, c.req.query());
    await changes.remove(reason(c, `remove ${id}`), id, drainMs);
    return changed(c);
  });
  return app;
}

/** What is served, and what it does. */
async function shown({ registry, calls }: Administered): Promise<object> {
  const { state, names } = registry.current;
  const rows = registry.versions.map(async ({ id, engine, model = null }) => {
    const { state: doing } = await engine.stats();
    return [id, { model, state: doing, calls: calls.numOpen(engine) }] as const;
  });
  const versions = Object.fromEntries(await Promise.all(rows));
  return { revision: state.revision, names: Object.fromEntries(names), versions };
}
