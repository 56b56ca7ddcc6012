/** What callers have used and were refused, as metrics. A label is the name that ApiKeys gives a key, which tells nothing about it. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Callers } from "./callers.js";

export function addCallerMetrics(registry: Registry, callers: Callers): void {
  const registers = [registry];
  // Each asks the callers when it is read.
  new Gauge({
    name: "warploop:api_key_open_requests",
    help: "Requests that are open",
    ...{ labelNames: ["api_key"], registers },
    collect() {
      for (const [api_key, { numOpen }] of callers.all) this.set({ api_key }, numOpen);
    },
  });
  new Counter({
    name: "warploop:api_key_tokens_total",
    help: "Tokens of prompts and answers",
    ...{ labelNames: ["api_key"], registers },
    collect() {
      this.reset();
      for (const [api_key, { numTokens }] of callers.all) this.inc({ api_key }, numTokens);
    },
  });
  new Counter({
    name: "warploop:api_key_limited_total",
    help: "Requests that were refused, by the limit that was reached",
    ...{ labelNames: ["api_key", "limit"], registers },
    collect() {
      this.reset();
      for (const [api_key, { refused }] of callers.all)
        for (const [limit, count] of Object.entries(refused)) this.inc({ api_key, limit }, count);
    },
  });
}
