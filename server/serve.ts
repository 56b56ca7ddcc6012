/** The server with its sockets. */
import { pino } from "pino";
import { adminApp } from "./admin/adminApp.js";
import { ApiKeys } from "./apiKeys.js";
import { appOf } from "./app.js";
import { startEngine } from "./child/childEngine.js";
import { listen, type Listener } from "./listener.js";
import {
  type CloseOptions,
  formatChoice,
  resolveClose,
  type ResolvedServe,
  resolveServe,
  type ServeOptions,
} from "./options.js";
import { Changes } from "./registry/changes.js";
import { checkTargets } from "./fallback/fallbacks.js";
import { givenOf, type ServedModels } from "./registry/given.js";
import { openRegistry } from "./registry/open.js";
import { unchanged } from "./registry/state.js";
import { StateStore } from "./registry/store.js";
import type { LoadModel } from "./registry/version.js";
import { RequestLog } from "./requestLog.js";

export interface Server {
  /** Such as "http://127.0.0.1:8000". */
  readonly url: string;
  readonly port: number;
  /** Of the admin plane. */
  readonly adminUrl: string | undefined;
  /**
   * /ready says no and requests are refused at once; those that run have `drainMs` to finish, and are ended with an error after it.
   * Resolves when nothing listens any more. Idempotent. Models that the server has loaded are closed, the others stay open.
   *
   * @throws ArgumentTypeError
   */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Loads what is given as texts, and listens for requests.
 *
 * @param models by the names that requests use
 * @throws ArgumentTypeError, ArgumentRangeError; as `load`; Error for a file of the state that cannot be read; what listening throws,
 *   such as EADDRINUSE
 */
export async function serve(models: ServedModels, options: ServeOptions = {}): Promise<Server> {
  const given = resolveServe(options);
  const resolved = { ...given, logger: given.logger ?? pino() };
  const log = new RequestLog(resolved);
  const tell = (what: string): void => log.note(what);
  const served = givenOf(models, resolved.splits);
  checkTargets(resolved, served.names);
  const { stateFile, load = inOwnProcess } = resolved;
  const store = stateFile === undefined ? undefined : await StateStore.open(stateFile, tell);
  const ending = new AbortController();
  const loading = { choice: formatChoice(resolved), load, signal: ending.signal, tell };
  const registry = await openRegistry(served, store?.state ?? unchanged, loading);
  const app = appOf(registry, resolved, log);
  const changes = new Changes({ registry, ...app, loading, store });
  const admin = adminApp({ registry, changes, log, ...app }, new ApiKeys(resolved.adminKeys));
  const listeners = await listenTo(resolved, app.fetch, (request) => admin.fetch(request)).catch(
    async (error: unknown) => {
      await changes.close();
      throw error;
    },
  );
  let closing: Promise<void> | undefined;
  const end = async (drainMs: number): Promise<void> => {
    ending.abort();
    await app.close(drainMs);
    await Promise.all(listeners.map((listener) => listener.close()));
    await changes.close();
  };
  const close = async (closeOptions: CloseOptions = {}): Promise<void> => {
    const { drainMs } = resolveClose(closeOptions);
    await (closing ??= end(drainMs));
  };
  const [{ url, port }, plane] = listeners;
  return { url, port, adminUrl: plane?.url, close };
}

const inOwnProcess: LoadModel = (model, signal) => startEngine(model, { signal });

type Fetch = (request: Request) => Response | Promise<Response>;

/** The public port, and that of the admin plane if there is one. */
async function listenTo(
  { host, port, adminHost, adminPort }: ResolvedServe,
  app: Fetch,
  admin: Fetch,
): Promise<readonly [Listener, ...Listener[]]> {
  const open = await listen(app, host, port);
  try {
    return adminPort === undefined ? [open] : [open, await listen(admin, adminHost, adminPort)];
  } catch (error) {
    await open.close();
    throw error;
  }
}
