// Contract: warploop/openai in servers of other people. The real Express, Fastify, Hono, Next's route and node:http answer OpenAI's client
// below a path, leave other paths to the app, end what a client leaves, and drain without closing the server.
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import express from "express";
import { fastify, type FastifyInstance } from "fastify";
import { Hono } from "hono";
import OpenAI from "openai";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { ChatOptions, GenerationStream } from "../../lib/index.js";
import { createHandler, type Handler } from "../../server/openai/index.js";
import { errorOf, postOf, ScriptedEngine, until } from "./support.js";

/** Answers with a token, and then nothing until it is aborted. */
class SlowEngine extends ScriptedEngine {
  isSlow = false;
  numAborted = 0;

  override chat(messages: unknown, options: ChatOptions): GenerationStream {
    const stream = super.chat(messages, options);
    if (!this.isSlow) return stream;
    const { signal } = options;
    const abort = () => void this.numAborted++;
    async function* slowly() {
      yield { index: 0, text: "a", tokenIds: [7], finishReason: null };
      if (!signal!.aborted) await once(signal!, "abort");
      abort();
      yield { index: 0, text: "", tokenIds: [], finishReason: "abort" };
    }
    return { ...stream, [Symbol.asyncIterator]: slowly } as unknown as GenerationStream;
  }
}

interface Host {
  readonly listen: (openai: Handler) => Promise<http.Server>;
  /** What the handler is told that paths begin with. */
  readonly basePath?: string;
  readonly hasPage: boolean;
}

async function listening(server: http.Server): Promise<http.Server> {
  if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}

function expressApp(...before: express.RequestHandler[]) {
  return (openai: Handler): Promise<http.Server> => {
    const app = express();
    for (const handler of before) app.use(handler);
    app.use("/ai", openai.listener);
    app.get("/page", (_request, response) => void response.send("own"));
    return listening(http.createServer(app));
  };
}

async function fastifyApp(openai: Handler): Promise<http.Server> {
  const app = fastify();
  app.get("/page", () => "own");
  await app.register(async (routes: FastifyInstance) => {
    routes.removeAllContentTypeParsers();
    routes.addContentTypeParser("*", (_request, _body, done) => done(null));
    routes.all("/ai/*", (request, reply) => {
      reply.hijack();
      openai.listener(request.raw, reply.raw);
    });
  });
  await app.listen({ port: 0 });
  return app.server;
}

function honoApp(openai: Handler): Promise<http.Server> {
  const app = new Hono();
  app.get("/page", (c) => c.text("own"));
  app.mount("/ai", openai.fetch);
  return listening(createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as http.Server);
}

const hosts: Readonly<Record<string, Host>> = {
  Express: { listen: expressApp(), hasPage: true },
  "Express behind its parser of bodies": { listen: expressApp(express.json()), hasPage: true },
  "Express behind its reader of bytes": { listen: expressApp(express.raw({ type: "*/*" })), hasPage: true },
  "Express behind its reader of texts": { listen: expressApp(express.text({ type: "*/*" })), hasPage: true },
  Fastify: { listen: fastifyApp, basePath: "/ai", hasPage: true },
  Hono: { listen: honoApp, hasPage: true },
  "node:http": {
    listen: (openai) => listening(http.createServer(openai.listener)),
    basePath: "/ai",
    hasPage: false,
  },
};

describe.each(Object.entries(hosts))("%s", (_, { listen, basePath, hasPage }) => {
  let engine: SlowEngine;
  let openai: Handler;
  let server: http.Server;
  let url: string;
  let client: OpenAI;
  beforeEach(async () => {
    engine = new SlowEngine();
    openai = createHandler({ m: engine }, { apiKeys: ["k"], basePath });
    server = await listen(openai);
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    client = new OpenAI({ baseURL: `${url}/ai/v1`, apiKey: "k", maxRetries: 0 });
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const params = { model: "m", messages: [{ role: "user" as const, content: "grüße" }] };

  it("answers, at once and as a stream, in its own words where something is wrong", async () => {
    const { choices } = await client.chat.completions.create(params);
    expect(choices[0]!.message.content).toBe("ab");
    expect(engine.asked[0]!.messages).toEqual(params.messages);
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...params, stream: true }))
      text += chunk.choices[0]!.delta.content ?? "";
    expect(text).toBe("ab");
    expect((await client.models.list()).data.map(({ id }) => id)).toEqual(["m"]);
    await expect(client.chat.completions.create({ ...params, model: "no" })).rejects.toMatchObject({
      ...{ status: 404, code: "model_not_found" },
    });
    const wrongKey = new OpenAI({ baseURL: `${url}/ai/v1`, apiKey: "l", maxRetries: 0 });
    await expect(wrongKey.models.list()).rejects.toMatchObject({ status: 401, code: "invalid_api_key" });
  });

  it("leaves other paths to the app", async () => {
    const page = await fetch(`${url}/page`, { headers: { authorization: "Bearer k" } });
    expect([page.status, await page.text()]).toEqual(
      hasPage ? [200, "own"] : [404, expect.stringContaining("no such route") as string],
    );
    for (const path of ["/v1/models", "/aix/v1/models", "/ai", "/ai/elsewhere"])
      expect((await fetch(url + path, { headers: { authorization: "Bearer k" } })).status, path).toBe(404);
    expect((await fetch(`${url}/ai/ready?x=1`)).status).toBe(200);
  });

  it("ends what its client leaves", async () => {
    engine.isSlow = true;
    const stream = await client.chat.completions.create({ ...params, stream: true });
    for await (const _ of stream) break; // which aborts the request
    await until(() => engine.numAborted === 1);
    const gone = new AbortController();
    const answer = client.chat.completions.create(params, { signal: gone.signal });
    await until(() => engine.asked.length === 2);
    gone.abort();
    await expect(answer).rejects.toThrow("aborted");
    await until(() => engine.numAborted === 2);
  });

  it("drains: what runs is ended in the end, nothing new is taken, the app goes on", async () => {
    engine.isSlow = true;
    const stream = await client.chat.completions.create({ ...params, stream: true });
    const read = async () => {
      for await (const _ of stream);
    };
    const ended = expect(read()).rejects.toMatchObject({ error: { code: "unavailable" } });
    await openai.close({ drainMs: 20 });
    await ended;
    await expect(client.chat.completions.create(params)).rejects.toMatchObject({ status: 503 });
    expect((await fetch(`${url}/ai/ready`)).status).toBe(503);
    if (hasPage) expect((await fetch(`${url}/page`)).status).toBe(200);
    await openai.close();
  });
});

it("Next's route answers requests, below its path", async () => {
  const shared = globalThis as { myModel?: Promise<Handler> };
  shared.myModel = Promise.resolve(createHandler({ m: new ScriptedEngine() }, { basePath: "/ai" }));
  const { POST, GET } = await import("../../examples/next/route.js");
  const body = { messages: [{ role: "user", content: "x" }] };
  const answer = await POST(new Request("http://host/ai/v1/chat/completions", postOf(body)));
  expect(await answer.json()).toMatchObject({ choices: [{ message: { content: "ab" } }] });
  expect(await (await GET(new Request("http://host/ai/v1/models"))).json()).toMatchObject({ data: [{}] });
  expect(await errorOf(await GET(new Request("http://host/v1/models")))).toMatchObject({ status: 404 });
  delete shared.myModel;
});

it.each(["ai", "/ai/", "/ai//b", "/a?b", 5])("does not take %j as a path", (basePath) => {
  expect(() => createHandler({ m: new ScriptedEngine() }, { basePath: basePath as string })).toThrow(
    /^createHandler: options\.basePath: /,
  );
});
