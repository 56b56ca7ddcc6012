/**
 * OpenAI's routes in an app of Fastify, below /ai:  npm run example:fastify   (or: -- --model <folder or hub id> --port 3000)
 * Ctrl-C lets the requests that run finish first.
 */
import { fastify, type FastifyInstance } from "fastify";
import { LLM } from "../lib/index.js";
import { createHandler } from "../server/openai/index.js";
import { numberOf, readArguments } from "./arguments.js";

const { values } = readArguments(`npm run example:fastify -- [--model <folder or hub id>] [--port 3000]`, {
  model: { type: "string", default: "models/tiny-moe" },
  port: { type: "string", default: "3000" },
});
const port = numberOf("port", values.port)!;
const llm = await LLM.load(values.model);
const openai = createHandler({ "my-model": llm }, { basePath: "/ai" });

const app = fastify();
app.get("/", () => "The app's own page.");
await app.register(async (routes: FastifyInstance) => {
  routes.removeAllContentTypeParsers(); // of these routes alone: the handler reads bodies itself
  routes.addContentTypeParser("*", (_request, _body, done) => done(null));
  routes.all("/ai/*", (request, reply) => {
    reply.hijack();
    openai.listener(request.raw, reply.raw);
  });
});
await app.listen({ port });
console.log(`OpenAI's base URL: http://127.0.0.1:${values.port}/ai/v1`);

const stop = async (): Promise<void> => {
  await openai.close();
  await app.close();
  await llm.close();
};
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void stop());
