/** A port and what answers on it. */
import { createAdaptorServer } from "@hono/node-server";
import { once } from "node:events";
import type { Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface Listener {
  /** Such as "http://127.0.0.1:8000". */
  readonly url: string;
  readonly port: number;
  /** Takes nothing new; answers that are still on their way have a second. */
  close(): Promise<void>;
}

/** @throws what listening throws, such as EADDRINUSE */
export async function listen(
  fetch: (request: Request) => Response | Promise<Response>,
  hostname: string,
  wanted: number,
): Promise<Listener> {
  const adaptor = { fetch, hostname, overrideGlobalObjects: false }; // Request and Response stay Node's
  const http = createAdaptorServer(adaptor) as HttpServer;
  http.listen(wanted, hostname);
  await once(http, "listening");
  const { address, port, family } = http.address() as AddressInfo;
  const url = `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
  const close = async (): Promise<void> => {
    const closed = once(http, "close");
    http.close();
    http.closeIdleConnections();
    const lastBytes = setTimeout(() => http.closeAllConnections(), 1000);
    await closed;
    clearTimeout(lastBytes);
  };
  return { url, port, close };
}
