/** The server with a socket. */
import { createAdaptorServer } from "@hono/node-server";
import type { Server as HttpServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { createApp } from "./app.js";
import { type CloseOptions, resolveClose, resolveServe, type ServeOptions } from "./options.js";
import type { ServedModels } from "./registry/registry.js";

export interface Server {
  /** Such as "http://127.0.0.1:8000". */
  readonly url: string;
  readonly port: number;
  /**
   * /ready says no and requests are refused at once; those that run have `drainMs` to finish, and are ended with an error after it.
   * Resolves when nothing listens any more. Idempotent. The models stay open.
   *
   * @throws ArgumentTypeError
   */
  close(options?: CloseOptions): Promise<void>;
}

/**
 * Listens for requests.
 *
 * @param models by the names that requests use
 * @throws ArgumentTypeError, ArgumentRangeError; what listening throws, such as EADDRINUSE
 */
export async function serve(models: ServedModels, options: ServeOptions = {}): Promise<Server> {
  const { host, port: wanted, ...appOptions } = resolveServe(options);
  const logger = appOptions.logger ?? pino();
  const app = createApp(models, { ...appOptions, logger });
  const adaptor = { fetch: app.fetch, hostname: host, overrideGlobalObjects: false }; // Request and Response stay Node's
  const http = createAdaptorServer(adaptor) as HttpServer;
  http.listen(wanted, host);
  await once(http, "listening");
  const { address, port, family } = http.address() as AddressInfo;
  const url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  let closing: Promise<void> | undefined;
  const end = async (drainMs: number): Promise<void> => {
    app.drain();
    const timer = setTimeout(() => app.abortAll(), drainMs);
    await app.idle();
    clearTimeout(timer);
    const closed = once(http, "close");
    http.close();
    http.closeIdleConnections();
    const lastBytes = setTimeout(() => http.closeAllConnections(), 1000);
    await closed;
    clearTimeout(lastBytes);
  };
  const close = async (closeOptions: CloseOptions = {}): Promise<void> => {
    const { drainMs } = resolveClose(closeOptions);
    await (closing ??= end(drainMs));
  };
  return { url, port, close };
}
