/** The routes below a path of somebody else's server. */
import type { LLM } from "../../lib/index.js";
import { createApp } from "../app.js";
import type { Engine } from "../engine.js";
import { type CloseOptions, type HandlerOptions, resolveClose, resolveHandler } from "../options.js";
import { nodeListener, type NodeListener } from "./nodeListener.js";

/** By name; a model under several names has aliases. */
export type LoadedModels = Readonly<Record<string, LLM | Engine>>;

const notARoute = "/";

/** Its functions need no `this`. */
export interface Handler {
  /** Answers a request; 404 for a path that is no route. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** Answers a request of node:http, Express and the like. A path that is no route is left to `next`, if there is one. */
  readonly listener: NodeListener;
  /** From now on /ready says no, and requests are refused with 503. */
  readonly drain: () => void;
  /**
   * Drains; requests that are open have `drainMs` to finish, and are ended with an error after it. Resolves when none is open. Your
   * server and the models stay open. Idempotent.
   *
   * @throws ArgumentTypeError
   */
  readonly close: (options?: CloseOptions) => Promise<void>;
}

/**
 * @param models by the names that requests use
 * @throws ArgumentTypeError, ArgumentRangeError
 */
export function createHandler(models: LoadedModels, options: HandlerOptions = {}): Handler {
  const { basePath, ...appOptions } = resolveHandler(options);
  const app = createApp(models, appOptions);
  /** A path, with a query or not, as a route of the app. */
  const below = (path: string): string | undefined =>
    path.startsWith(`${basePath}/`) ? path.slice(basePath.length) : undefined;
  return {
    async fetch(request) {
      if (basePath === "") return app.fetch(request);
      const url = new URL(request.url);
      url.pathname = below(url.pathname) ?? notARoute;
      return app.fetch(new Request(url, request));
    },
    listener: nodeListener(app, below),
    drain: () => app.drain(),
    async close(closeOptions = {}) {
      await app.close(resolveClose(closeOptions).drainMs);
    },
  };
}
