/** Whether the process is to be restarted (/health), and whether it is to get requests (/ready). */
import type { Hono } from "hono";
import type { AppEnv, Serving } from "./answer.js";

export function healthRoutes(app: Hono<AppEnv>, { registry, calls }: Serving): void {
  const states = async (): Promise<Record<string, string>> =>
    Object.fromEntries(
      await Promise.all(
        registry.active.map(async ({ id, engine }) => [id, (await engine.stats()).state] as const),
      ),
    );
  // An engine whose device finishes nothing while requests wait is "dead" (stepTimeoutMs), and does not come back.
  app.get("/health", async (c) => {
    const byName = await states();
    const isAlive = !Object.values(byName).includes("dead");
    return c.json({ status: isAlive ? "ok" : "dead", models: byName }, isAlive ? 200 : 503);
  });
  app.get("/ready", async (c) => {
    const byName = await states();
    const isReady = !calls.isDraining && Object.values(byName).every((state) => state === "running");
    return c.json({ status: isReady ? "ready" : "not ready", models: byName }, isReady ? 200 : 503);
  });
}
