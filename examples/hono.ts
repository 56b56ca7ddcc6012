/**
 * OpenAI's routes in an app of Hono, below /ai:  npm run example:hono   (or: -- --model <folder or hub id> --port 3000)
 * Ctrl-C lets the requests that run finish first.
 */
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { LLM } from "../lib/index.js";
import { createHandler } from "../server/openai/index.js";
import { numberOf, readArguments } from "./arguments.js";

const { values } = readArguments(`npm run example:hono -- [--model <folder or hub id>] [--port 3000]`, {
  model: { type: "string", default: "models/tiny-moe" },
  port: { type: "string", default: "3000" },
});
const port = numberOf("port", values.port)!;
const llm = await LLM.load(values.model);
const openai = createHandler({ "my-model": llm });

const app = new Hono();
app.get("/", (c) => c.text("The app's own page."));
app.mount("/ai", openai.fetch);
const server = serve({ fetch: app.fetch, hostname: "127.0.0.1", port }, () =>
  console.log(`OpenAI's base URL: http://127.0.0.1:${values.port}/ai/v1`),
);

const stop = async (): Promise<void> => {
  await openai.close();
  server.close();
  await llm.close();
};
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
