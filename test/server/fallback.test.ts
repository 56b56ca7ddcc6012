// Contract: what a model does not answer goes to the next of its chain, a name or another server, while nothing was sent: when it is
// overloaded, fails or is late. Retries keep to a budget. Keys of clients stay here; aborts, drains and failures behave as with a model.
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { Registry } from "prom-client";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type ChatOptions, ClosedError, type GenerationStream, QueueFullError } from "../../lib/index.js";
import { Fallbacks, type Tries } from "../../server/fallback/fallbacks.js";
import { retryDelayMs } from "../../server/fallback/retryBudget.js";
import { unavailable } from "../../server/errors.js";
import { type App, type AppOptions, createApp } from "../../server/index.js";
import { errorOf, fetchOf, postOf, ScriptedEngine, until } from "./support.js";

/** Has no token until it is aborted, if it is slow. */
class LateEngine extends ScriptedEngine {
  isSlow = false;

  override chat(messages: unknown, options: ChatOptions): GenerationStream {
    const stream = super.chat(messages, options);
    if (!this.isSlow) return stream;
    const { signal } = options;
    async function* never() {
      if (!signal!.aborted) await once(signal!, "abort");
      yield { index: 0, text: "", tokenIds: [], finishReason: "abort" };
    }
    return { ...stream, [Symbol.asyncIterator]: never } as unknown as GenerationStream;
  }
}

interface Received {
  readonly url: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

type Answerer = (response: http.ServerResponse) => void;
const chunk = (content: string) =>
  `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", model: "far", choices: [{ index: 0, delta: { content }, finish_reason: null }] })}\n\n`;
const events: Answerer = (response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(chunk("c"));
};
const whole: Answerer = (response) => {
  response.writeHead(200, { "content-type": "application/json" });
  response.end(JSON.stringify({ object: "chat.completion", model: "far", choices: [] }));
};
const refuses =
  (status: number, body: object = {}): Answerer =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json", location: "/elsewhere" });
    response.end(JSON.stringify(body));
  };

let remote: http.Server;
let received: Received[];
let answers: Answerer;
let numClosed: number;
let far: { readonly url: string; readonly model: string; readonly apiKey: string };
let near: LateEngine;
let other: ScriptedEngine;
beforeEach(async () => {
  received = [];
  numClosed = 0;
  answers = whole;
  near = new LateEngine();
  other = new ScriptedEngine();
  remote = http.createServer((request, response) => {
    const parts: Buffer[] = [];
    response.on("close", () => void numClosed++);
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = JSON.parse(Buffer.concat(parts).toString()) as Received["body"];
      received.push({ url: request.url!, headers: request.headers, body });
      answers(response);
    });
  });
  await once(remote.listen(0, "127.0.0.1"), "listening");
  const { port } = remote.address() as AddressInfo;
  far = { url: `http://127.0.0.1:${port}/v1`, model: "far", apiKey: "far-key" };
});
afterEach(async () => {
  remote.closeAllConnections();
  await new Promise((resolve) => remote.close(resolve));
});

const chat = "/v1/chat/completions";
const body = { model: "near", messages: [{ role: "user" as const, content: "x" }], top_k: 3 };
const start = (options: AppOptions): App => createApp({ near, other }, options);
async function ask(app: App, fields: object = {}, path = chat, headers = {}): Promise<Response> {
  return app.fetch(new Request(`http://host${path}`, postOf({ ...body, ...fields }, { headers })));
}
const metricsOf = async (app: App) => (await app.fetch(new Request("http://host/metrics"))).text();
const clientOf = (app: App) =>
  new OpenAI({ baseURL: "http://host/v1", apiKey: "mine", maxRetries: 0, fetch: fetchOf(app) });

describe("a request goes on", () => {
  const failures = [
    { reason: "unavailable", set: () => (near.failure = new ClosedError("LLM")) },
    { reason: "queue_full", set: () => (near.failure = new QueueFullError(1, 4, 4)) },
    { reason: "timeout", set: () => (near.isSlow = true) },
  ];
  const rows = failures.flatMap((row) => [
    { ...row, stream: false },
    { ...row, stream: true },
  ]);

  it.each(rows)("to another name: $reason, stream: $stream", async ({ reason, set, stream }) => {
    const app = start({ fallback: { near: ["other"] }, firstTokenMs: 30 });
    set();
    const response = await ask(app, { stream });
    expect([response.status, response.headers.get("x-warploop-fallback")]).toEqual([200, "other"]);
    expect(await response.text()).toContain('"model":"other"');
    expect(await metricsOf(app)).toContain(
      `warploop:fallbacks_total{model_name="near",target="other",reason="${reason}"} 1`,
    );
    await app.idle();
  });

  it.each(rows)("to another server: $reason, stream: $stream", async ({ reason, set, stream }) => {
    const firstTokenMs = reason === "timeout" ? 1000 : 10_000; // which the other server has, too
    const app = start({ fallback: { near: [far] }, firstTokenMs, apiKeys: ["mine"] });
    set();
    answers = stream ? (response) => (events(response), response.end(chunk("d"))) : whole;
    const response = await ask(app, { stream }, chat, { authorization: "Bearer mine", cookie: "mine" });
    expect([response.status, response.headers.get("x-warploop-fallback")]).toEqual([200, "far"]);
    const text = await response.text();
    if (stream) expect(text).toBe(chunk("c") + chunk("d"));
    else expect(JSON.parse(text)).toMatchObject({ model: "far", choices: [] });
    const [got] = received;
    expect(got).toMatchObject({ url: chat, body: { ...body, stream, model: "far" } });
    expect(got!.headers.authorization).toBe("Bearer far-key");
    expect(JSON.stringify(got)).not.toContain("mine");
    const metrics = await app.fetch(
      new Request("http://host/metrics", { headers: { authorization: "Bearer mine" } }),
    );
    expect(await metrics.text()).toContain(`reason="${reason}"} 1`);
    await app.idle();
  });

  it("down the chain, past servers that are away, late, or have no such key, route or model", async () => {
    const away = { url: "http://127.0.0.1:1/v1", model: "away" };
    const app = start({ fallback: { near: [away, far, "other"] }, firstTokenMs: 300 });
    near.failure = new ClosedError("LLM");
    for (const answerer of [
      refuses(401),
      refuses(404),
      refuses(307),
      refuses(429),
      refuses(500),
      () => undefined,
    ]) {
      answers = answerer;
      const response = await ask(app, { stream: true });
      expect(await response.text()).toContain('"model":"other"');
    }
    const before = received.length;
    const messages = await ask(app, { max_tokens: 5, top_k: undefined }, "/v1/messages");
    expect([messages.status, received.length]).toEqual([200, before]); // other servers have no such route
  });

  it("to a server that takes longer for a whole answer than for a first token", async () => {
    const app = start({ fallback: { near: [far] }, firstTokenMs: 50 });
    near.failure = new ClosedError("LLM");
    answers = (response) => void setTimeout(() => whole(response), 200);
    expect(await (await ask(app)).json()).toMatchObject({ model: "far" });
    expect((await ask(app, { stream: true })).status).toBe(503);
  });

  it("a token of an answer that is sent whole does not hold it", async () => {
    near.lateFailure = new ClosedError("LLM");
    const response = await ask(start({ fallback: { near: ["other"] } }));
    expect(await response.json()).toMatchObject({ model: "other" });
  });
});

describe("a request does not go on", () => {
  it("when something of a stream was sent", async () => {
    near.lateFailure = new ClosedError("LLM");
    const app = start({ fallback: { near: ["other"] }, retry: { max: 3 } });
    const response = await ask(app, { stream: true });
    expect(await response.text()).toMatch(/"content":"a"[\s\S]*"code":"unavailable"/);
    expect([response.headers.get("x-warploop-fallback"), other.asked.length]).toEqual([null, 0]);
  });

  it("when it is wrong, here or there, or the model has a bug", async () => {
    const app = start({ fallback: { near: [far] } });
    expect((await ask(app, { temperature: -1 })).status).toBe(400);
    near.failure = new Error("bug");
    expect((await ask(app)).status).toBe(500);
    expect(received).toEqual([]);
    near.failure = new ClosedError("LLM");
    answers = refuses(400, { error: { message: "top_k: unknown", param: "top_k", code: "unavailable" } });
    expect(await errorOf(await ask(app))).toMatchObject({
      ...{ status: 400, error: { message: "top_k: unknown", param: "top_k" } },
    });
  });

  it("while the server drains; nor when all have failed, which is told of the first", async () => {
    const app = start({ fallback: { near: ["other", far] } });
    near.failure = new QueueFullError(1, 4, 4);
    other.failure = new ClosedError("LLM");
    answers = refuses(503);
    const response = await ask(app);
    expect([response.status, response.headers.get("retry-after")]).toEqual([429, "1"]);
    expect(response.headers.get("x-warploop-fallback")).toBeNull();
    app.drain();
    expect([(await ask(app)).status, received.length]).toEqual([503, 1]);
  });
});

describe("an answer of another server", () => {
  it("that breaks off is an error that the client throws", async () => {
    const app = start({ fallback: { near: [far] } });
    near.failure = new ClosedError("LLM");
    answers = (response) => {
      events(response);
      setTimeout(() => response.destroy(), 50);
    };
    const stream = await clientOf(app).chat.completions.create({ ...body, stream: true } as never);
    let text = "";
    const read = async () => {
      for await (const { choices } of stream as unknown as AsyncIterable<OpenAI.ChatCompletionChunk>)
        text += choices[0]!.delta.content;
    };
    await expect(read()).rejects.toMatchObject({ error: { code: "unavailable" } });
    expect(text).toBe("c");
    await app.idle();
  });

  it("ends when its client leaves, before it begins and after", async () => {
    const app = start({ fallback: { near: [far] }, limits: { maxOpen: 1 } });
    near.failure = new ClosedError("LLM");
    answers = events;
    const response = await ask(app, { stream: true });
    expect((await ask(app)).status).toBe(429); // it is open
    await response.body!.cancel();
    await until(() => numClosed === 1);
    answers = () => undefined;
    const gone = new AbortController();
    const init = { ...postOf(body), signal: gone.signal };
    const waiting = app.fetch(new Request(`http://host${chat}`, init));
    await until(() => received.length === 2);
    gone.abort();
    expect((await waiting).status).toBe(499);
    await until(() => numClosed === 2);
    await app.idle();
  });

  it("is waited for by a server that closes, and ended when that takes too long", async () => {
    const app = start({ fallback: { near: [far] } });
    near.failure = new ClosedError("LLM");
    answers = events;
    const response = await ask(app, { stream: true });
    await app.close(30); // nobody reads it meanwhile
    expect(await response.text()).toMatch(/"content":"c"[\s\S]*"code":"unavailable"/);
  });
});

describe("retries", () => {
  it("ask the same model again when it fails before its first token", async () => {
    const app = start({ retry: { max: 2 } });
    const { chat: answer } = near;
    let numFailures = 0;
    near.chat = (...args) => {
      if (numFailures++ < 2) throw new ClosedError("LLM");
      return answer.apply(near, args);
    };
    const response = await ask(app, { stream: true });
    expect([response.status, numFailures]).toEqual([200, 3]);
    expect(await response.text()).toContain('"content":"a"');
    expect(await metricsOf(app)).toContain(
      'warploop:retries_total{model_name="near",reason="unavailable"} 2',
    );
    near.chat = () => {
      throw new QueueFullError(1, 4, 4);
    };
    expect((await ask(app)).status).toBe(429);
    expect(await metricsOf(app)).toContain('retries_total{model_name="near",reason="unavailable"} 2');
  });

  it("are no more than a share of the requests and a reserve", async () => {
    const options = { fallback: {}, retry: { max: 5, share: 0.1 } };
    const fallbacks = new Fallbacks(options, new Registry(), () => 0);
    let numAsked = 0;
    const tries: Tries<never> = {
      ask: async () => {
        numAsked++;
        throw unavailable("away");
      },
      hadToken: () => false,
      goesOn: () => true,
    };
    const count = 300;
    for (let i = 0; i < count; i++)
      await expect(fallbacks.answer("m", () => true, tries)).rejects.toThrow("away");
    expect(numAsked - count).toBeGreaterThan(count * 0.1 - 2);
    expect(numAsked - count).toBeLessThanOrEqual(10 + count * 0.1);
    const late = { ...tries, hadToken: () => true };
    numAsked = 0;
    for (let i = 0; i < 30; i++) await expect(fallbacks.answer("m", () => true, late)).rejects.toThrow();
    expect(numAsked).toBe(30);
  });

  it("wait between nothing and a bound that grows", () => {
    for (const [attempt, most] of [100, 200, 400, 800, 1600, 2000, 2000].entries()) {
      expect(retryDelayMs(attempt, () => 0)).toBe(0);
      expect(retryDelayMs(attempt, () => 1 - 2 ** -53)).toBeCloseTo(most, 6);
    }
  });
});

it.each([
  {
    options: { fallback: { near: ["nobody"] } },
    says: "options.fallback.near: expected names that are served",
  },
  { options: { fallback: { nobody: ["near"] } }, says: 'got "nobody"' },
  {
    options: { fallback: { near: ["near"] } },
    says: 'expected another model than that of near, which "near"',
  },
  { options: { fallback: { near: ["other", "other"] } }, says: "expected each once, got other twice" },
  {
    options: {
      fallback: {
        near: [
          { url: "http://x/v1", model: "m" },
          { url: "http://x/v1/", model: "m", apiKey: "k" },
        ],
      },
    },
    says: "options.fallback.near: expected each once, got m at x twice",
  },
  ...["http://u:p@x/v1", "http://x/v1?a=1", "http://x/v1#a"].map((url) => ({
    options: { fallback: { near: [{ url, model: "m" }] } },
    says: "options.fallback.near.0.url: expected a URL without user, query and fragment",
  })),
  { options: { fallback: { near: [] } }, says: "options.fallback.near" },
  {
    options: { fallback: { near: [{ url: "ftp://x/v1", model: "m" }] } },
    says: "options.fallback.near.0.url",
  },
  { options: { fallback: { near: [{ url: "http://x/v1" }] } }, says: "options.fallback.near.0.model" },
  { options: { retry: { max: 9 } }, says: "options.retry.max" },
  { options: { firstTokenMs: 0 }, says: "options.firstTokenMs" },
])("is refused: $says", ({ options, says }) => {
  expect(() => start(options as unknown as AppOptions)).toThrow(says);
});
