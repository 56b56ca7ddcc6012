// Contract: limits and what guards them. Keys, sizes, types and times; errors tell a client nothing of the machine.
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import {
  ArgumentTypeError,
  ClosedError,
  QueueFullError,
  SamplingError,
  TextError,
  WarploopError,
} from "../../lib/index.js";
import { createApp } from "../../server/index.js";
import { errorOf, scriptedApp, ScriptedEngine, TinyServer, until, withoutHead } from "./support.js";

const chat = "/v1/chat/completions";
const body = { messages: [{ role: "user", content: "a secret" }] };

describe("API keys", () => {
  const { request, post, engine } = scriptedApp({ apiKeys: ["first", "second"] });
  const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

  it.each(["", "Bearer", "Bearer firs", "Bearer first1", "Basic first", "first"])(
    "refuses %j",
    async (authorization) => {
      const init = authorization === "" ? {} : { headers: { authorization } };
      for (const path of [chat, "/tokenize", "/nowhere"]) {
        const response = await post(path, body, init);
        expect(response.headers.get("www-authenticate")).toBe("Bearer");
        expect(await errorOf(response)).toMatchObject({ status: 401, error: { code: "invalid_api_key" } });
      }
      expect((await request("/v1/models", init)).status).toBe(401);
    },
  );

  it("takes each of its keys, and none for health", async () => {
    for (const key of ["first", "second"]) expect((await post(chat, body, bearer(key))).status).toBe(200);
    for (const path of ["/health", "/ready"]) expect((await request(path)).status).toBe(200);
  });

  it("shares prefixes within a key, not between keys", async () => {
    const saltOf = async (key: string, fields: object = {}) => {
      await post(chat, { ...body, ...fields }, bearer(key));
      return engine.asked.at(-1)!.options.cacheSalt;
    };
    const salts = [await saltOf("first"), await saltOf("second"), await saltOf("first", { cache_salt: "x" })];
    expect(new Set(salts).size).toBe(3);
    expect(await saltOf("first")).toBe(salts[0]);
    expect(salts.join()).not.toContain("first");
  });
});

describe("requests", () => {
  it("are JSON of a limited size", async () => {
    const { post } = scriptedApp({ maxBodyBytes: 200 });
    const long = { ...body, user: "x".repeat(200) };
    expect(await errorOf(await post(chat, long))).toMatchObject({
      status: 413,
      error: { type: "invalid_request_error" },
    });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
      expect((await post(chat, body, { headers: { "content-type": type } })).status, type).toBe(415);
    expect(
      (await post(chat, body, { headers: { "content-type": "application/json; charset=utf-8" } })).status,
    ).toBe(200);
  });

  it("may come without a length, and then have the same limit", async () => {
    await using tiny = await TinyServer.start({ maxBodyBytes: 200 });
    const send = (text: string): Promise<Response> => {
      const parts = new ReadableStream({
        start(controller) {
          for (const letter of text) controller.enqueue(Buffer.from(letter));
          controller.close();
        },
      });
      return tiny.post(chat, "", { body: parts, duplex: "half" });
    };
    const answer = await send(JSON.stringify({ ...body, max_tokens: 1 }));
    expect([answer.status, await answer.text()]).toEqual([200, expect.stringContaining("finish_reason")]);
    expect((await send(JSON.stringify({ ...body, user: "x".repeat(200) }))).status).toBe(413);
  });

  it("of pages of other sites are not allowed", async () => {
    const { request, post } = scriptedApp();
    const headers = { origin: "http://elsewhere", "access-control-request-method": "POST" };
    const asked = await request(chat, { method: "OPTIONS", headers });
    const answered = await post(chat, body, { headers: { origin: "http://elsewhere" } });
    for (const { headers: given } of [asked, answered])
      expect([...given.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
    expect(asked.ok).toBe(false);
  });

  it("have an id: the client's if it is one, else a new one", async () => {
    const { post, request } = scriptedApp();
    const idOf = async (given: string) =>
      (await post(chat, body, { headers: { "x-request-id": given } })).headers.get("x-request-id");
    expect(await idOf("mine-1")).toBe("mine-1");
    for (const bad of ["a b", "x".repeat(129), '"']) expect(await idOf(bad)).toMatch(/^[\da-f-]{36}$/);
    expect((await request("/nowhere")).headers.get("x-request-id")).toMatch(/^[\da-f-]{36}$/);
    const failed = await post(chat, "{", { headers: { "x-request-id": "mine-2" } });
    expect(failed.headers.get("x-request-id")).toBe("mine-2");
  });

  it("that take too long end with 504, as a stream with an error", async () => {
    await using tiny = await TinyServer.start({ timeoutMs: 300 });
    const long = { ...body, max_tokens: 2000, ignore_eos: true };
    expect(await errorOf(await tiny.post(chat, long))).toMatchObject({
      status: 504,
      error: { code: "timeout" },
    });
    const stream = await tiny
      .client()
      .chat.completions.create({ ...long, model: TinyServer.model, stream: true } as never);
    const read = async () => {
      for await (const _ of stream as unknown as AsyncIterable<object>);
    };
    await expect(read()).rejects.toMatchObject({ error: { code: "timeout" } });
    await until(() => tiny.llm.stats().running === 0 && tiny.llm.stats().usedPages === 0);
  });
});

describe("failures", () => {
  const folder = "/srv/models/mine";
  const file = `${folder}/tokenizer_config.json`;
  const rows = [
    { failure: new Error(`${folder}: no`), status: 500 },
    { failure: new TypeError("x is undefined"), status: 500 },
    { failure: new WarploopError("ERR_INTERNAL", folder), status: 500 },
    { failure: new SamplingError("ERR_NON_FINITE", folder, "r", 3), status: 500 },
    { failure: new SamplingError("ERR_ALL_BANNED", "no token is left", "r", 3), status: 400 },
    { failure: withoutHead(), status: 400 },
    { failure: new ClosedError("LLM"), status: 503 },
    { failure: new QueueFullError(1, 4, 4), status: 429 },
    { failure: new TextError("ERR_CHAT_TEMPLATE", `${file}: no such role`, file), status: 400 },
    { failure: new ArgumentTypeError("messages[0].role: expected a text"), status: 400 },
  ];

  it.each(rows)(
    "$failure.name $failure.message: $status, without paths and stacks",
    async ({ failure, status }) => {
      const { engine, post } = scriptedApp();
      engine.failure = failure;
      const response = await post(chat, body);
      const text = await response.text();
      expect(response.status).toBe(status);
      const { type } = (JSON.parse(text) as { error: { type: string } }).error;
      const of4xx = status === 429 ? "rate_limit_error" : "invalid_request_error";
      expect(type).toBe(status < 500 ? of4xx : "server_error");
      expect(text).not.toMatch(/srv|mine|node_modules|at \w+ \(|undefined/);
      if (failure instanceof TextError) expect(text).toContain("tokenizer_config.json: no such role");
    },
  );

  it("behind the head of a stream are an event that the client throws", async () => {
    const { app, engine } = scriptedApp();
    engine.lateFailure = new Error(folder);
    const { client } = await clientOf(app);
    const stream = await client.chat.completions.create({
      model: "m",
      messages: [{ role: "user", content: "x" }],
      stream: true,
    });
    let text = "";
    const read = async () => {
      for await (const chunk of stream) text += chunk.choices[0]!.delta.content;
    };
    await expect(read()).rejects.toMatchObject({
      error: { type: "server_error", message: expect.not.stringContaining("srv") as string },
    });
    expect(text).toBe("a");
  });

  it("of an engine that is dead show in /health, and one that closes is not ready", async () => {
    const { engine, request } = scriptedApp();
    for (const [state, health, ready] of [
      ["draining", 200, 503],
      ["closed", 200, 503],
      ["dead", 503, 503],
    ] as const) {
      engine.state = state;
      expect([(await request("/health")).status, (await request("/ready")).status]).toEqual([health, ready]);
    }
  });
});

/** The client over an app without a port. */
async function clientOf(app: { fetch: (request: Request) => Response | Promise<Response> }) {
  const { default: OpenAI } = await import("openai");
  const fetch = async (input: string | URL | Request, init?: RequestInit) =>
    app.fetch(new Request(input, init));
  return { client: new OpenAI({ baseURL: "http://host/v1", apiKey: "x", maxRetries: 0, fetch }) };
}

describe("options and models", () => {
  const engine = new ScriptedEngine();

  it.each([
    { options: { maxQueue: 0 }, says: "options.maxQueue" },
    { options: { timeoutMs: 1.5 }, says: "options.timeoutMs" },
    { options: { apiKeys: [] }, says: "options.apiKeys" },
    { options: { apiKeys: [""] }, says: "options.apiKeys.0" },
    { options: { logger: 5 }, says: "options.logger" },
    { options: { maxQueu: 5 }, says: "maxQueu" },
  ])("$options", ({ options, says }) => {
    expect(() => createApp({ m: engine }, options as never)).toThrow(ArgumentTypeError);
    expect(() => createApp({ m: engine }, options as never)).toThrow(says);
  });

  it("wants models, by names", () => {
    for (const wrong of [{}, { "": engine }, { m: 5 }, null])
      expect(() => createApp(wrong as never)).toThrow(/^models/);
  });

  it("takes the model that is named, and none only where there is one", async () => {
    const other = new ScriptedEngine();
    const app = createApp({ m: engine, alias: engine, other });
    const post = (fields: object) =>
      app.fetch(
        new Request(`http://host${chat}`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify({ ...body, ...fields }),
        }),
      );
    expect(await (await post({ model: "other" })).json()).toMatchObject({ model: "other" });
    expect(await (await post({ model: "alias" })).json()).toMatchObject({ model: "alias" });
    expect([engine.asked.length, other.asked.length]).toEqual([1, 1]);
    expect(await errorOf(await post({}))).toMatchObject({ status: 400, error: { param: "model" } });
    const unknown = await errorOf(await post({ model: "models/tiny-moe" }));
    const message = 'model: "models/tiny-moe" is not served here; served are m, alias, other';
    expect(unknown).toMatchObject({
      status: 404,
      error: { param: "model", code: "model_not_found", message },
    });
  });
});

describe("the log", () => {
  const linesOf = async (options: object): Promise<Record<string, unknown>[]> => {
    const lines: string[] = [];
    const logger = pino({}, { write: (line: string) => void lines.push(line) });
    const { post, engine } = scriptedApp({ logger, ...options });
    await (await post(chat, body, { headers: { "x-request-id": "one" } })).text();
    engine.failure = new Error("broken");
    await post(chat, body, { headers: { "x-request-id": "two" } });
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  it("has a line for each answer, with its id, and the stack of what is ours", async () => {
    const lines = await linesOf({});
    const ended = {
      requestId: "one",
      model: "m",
      promptTokens: 3,
      completionTokens: 2,
      cachedTokens: 1,
      finishReasons: ["stop"],
    };
    expect(lines).toContainEqual(expect.objectContaining(ended));
    expect(lines).toContainEqual(expect.objectContaining({ requestId: "one", path: chat, status: 200 }));
    expect(lines.find(({ level }) => level === 50)).toMatchObject({
      requestId: "two",
      err: { message: "broken", stack: expect.stringContaining("limits.test") as string },
    });
  });

  it("has prompts only on request", async () => {
    expect(JSON.stringify(await linesOf({}))).not.toContain("a secret");
    expect(JSON.stringify(await linesOf({ logPrompts: true }))).toContain("a secret");
  });
});
