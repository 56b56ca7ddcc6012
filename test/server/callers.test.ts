// Contract: what each API key may ask. Open requests, requests and tokens of a minute, each key by itself; over them 429 with the time
// to wait, which is true; what is left is in OpenAI's headers; keys are in no metric.
import { describe, expect, it } from "vitest";
import { ClosedError } from "../../lib/index.js";
import { Caller, Callers } from "../../server/limits/callers.js";
import type { KeyLimits } from "../../server/limits/keyLimits.js";
import { createApp } from "../../server/index.js";
import type { HttpError } from "../../server/errors.js";
import { nameOf } from "../../server/apiKeys.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf } from "../support/seed.js";
import { errorOf, postOf, ScriptedEngine, scriptedApp, TinyServer, until } from "./support.js";

const chat = "/v1/chat/completions";
const body = { messages: [{ role: "user", content: "x" }] };
const bearer = (key: string) => ({ headers: { authorization: `Bearer ${key}` } });

/** @returns how a request ends, or the seconds to wait */
function tried(caller: Caller): (() => void) | number {
  try {
    return caller.enter();
  } catch (error) {
    expect(error).toMatchObject({ status: 429, code: "rate_limit_exceeded" });
    return (error as HttpError).retryAfterS!;
  }
}

describe("a caller", () => {
  const seeds = Array.from({ length: runsOf({ few: 20, whole: 200 }) }, (_, i) => firstSeed + i);

  it.each(seeds)("keeps within each limit, whatever it does and when: seed %i", (seed) => {
    const random = new Random(seed);
    const limits = { maxOpen: random.integer(1, 4), requestsPerMinute: random.integer(1, 20) };
    const tokensPerMinute = random.integer(1, 200);
    let now = random.integer(0, 1e9);
    const caller = new Caller({ ...limits, tokensPerMinute }, () => now);
    const begin = now;
    const open: (() => void)[] = [];
    const begun: number[] = [];
    let spent = 0;
    let debt = 0; // most tokens that one step took beyond what was allowed: they are known too late to refuse
    for (let step = 0; step < 400; step++) {
      now += random.integer(0, 2) * random.integer(0, 4000);
      const allowance = tokensPerMinute * (1 + (now - begin) / 60_000);
      if (random.uniform() < 0.6) {
        const end = tried(caller);
        if (typeof end === "number") continue;
        open.push(end);
        begun.push(now);
        expect(spent).toBeLessThanOrEqual(allowance + 1e-6);
        expect(open.length).toBeLessThanOrEqual(limits.maxOpen);
        const lastMinute = begun.filter((at) => at > now - 60_000).length;
        expect(lastMinute).toBeLessThanOrEqual(2 * limits.requestsPerMinute); // a full bucket, and what grew
        expect(begun.length).toBeLessThanOrEqual(
          limits.requestsPerMinute * (1 + (now - begin) / 60_000) + 1e-6,
        );
      } else if (open.length > 0) {
        const tokens = random.integer(0, 60);
        caller.spend(tokens);
        spent += tokens;
        debt = Math.max(debt, spent - allowance);
        const [end] = open.splice(random.integer(0, open.length), 1);
        end!();
        end!(); // once is enough
      }
      expect(caller.numOpen).toBe(open.length);
    }
    expect(caller.numTokens).toBe(spent);
    // The time that it was told is enough, and a second less is not.
    for (const end of open) end();
    caller.spend(tokensPerMinute);
    const wait = tried(caller);
    expect(wait).toBeTypeOf("number");
    now += ((wait as number) - 1) * 1000 - 1;
    if ((wait as number) > 1) expect(tried(caller)).toBeTypeOf("number");
    now += 1001;
    expect(tried(caller)).toBeTypeOf("function");
  });

  it("that is refused has used nothing", () => {
    const caller = new Caller({ maxOpen: 1, requestsPerMinute: 2 }, () => 0);
    const end = caller.enter();
    for (let i = 0; i < 5; i++) expect(tried(caller)).toBe(1);
    end();
    caller.enter()();
    expect(tried(caller)).toBe(30);
    expect(caller.refused).toEqual({ open: 5, requests: 1, tokens: 0 });
  });

  it.each([
    { spent: 0, reset: "0ms" },
    { spent: 1, reset: "60ms" },
    { spent: 25, reset: "1.5s" },
    { spent: 6000, reset: "6m0s" },
  ])("says when all is there again: $reset", ({ spent, reset }) => {
    const caller = new Caller({ tokensPerMinute: 1000 }, () => 0);
    caller.spend(spent);
    expect(caller.headers()).toEqual({
      "x-ratelimit-limit-tokens": "1000",
      "x-ratelimit-remaining-tokens": String(Math.max(0, 1000 - spent)),
      "x-ratelimit-reset-tokens": reset,
    });
  });
});

describe("keys", () => {
  const limits: KeyLimits = { maxOpen: 1, requestsPerMinute: 3 };
  const own = { key: "own", limits: { maxOpen: null, requestsPerMinute: 5 } };
  const callers = new Callers({ apiKeys: ["a", "b", own, { key: "bare" }], limits }, () => 0);

  it.each([
    { key: "a", open: 1, all: 3 },
    { key: "b", open: 1, all: 3 },
    { key: "bare", open: 1, all: 3 },
    { key: "own", open: 5, all: 5 },
  ])("have limits by themselves: $key", ({ key, open, all }) => {
    const caller = callers.of(nameOf(key));
    const ends = Array.from({ length: 6 }, () => tried(caller)).filter((end) => typeof end === "function");
    expect(ends).toHaveLength(open);
    for (const end of ends) end();
    let numLeft = 0;
    for (let end = tried(caller); typeof end === "function"; end = tried(caller)) {
      numLeft++;
      end();
    }
    expect(open + numLeft).toBe(all);
  });

  it.each([
    { options: { limits: { maxOpen: 0 } }, says: "options.limits.maxOpen" },
    { options: { limits: { tokensPerMinute: 0.5 } }, says: "options.limits.tokensPerMinute" },
    { options: { limits: { requests: 5 } }, says: "options.limits" },
    { options: { apiKeys: ["secret", "secret"] }, says: "options.apiKeys: two are the same key" },
    {
      options: { apiKeys: ["x", { key: "secret", limit: {} }] },
      says: "options.apiKeys.1.limit: unknown field",
    },
    {
      options: { apiKeys: [{ key: "secret", limits: { maxOpen: -1 } }] },
      says: "options.apiKeys.0.limits.maxOpen",
    },
  ])("that are wrong are told by their place: $says", ({ options, says }) => {
    const wrong = () => createApp({ m: new ScriptedEngine() }, options);
    expect(wrong).toThrow(says);
    expect(wrong).not.toThrow("secret");
  });
});

describe("the server", () => {
  it("answers 429 with the time to wait, and what is left with every answer", async () => {
    const { post, request } = scriptedApp({ apiKeys: ["k", "l"], limits: { requestsPerMinute: 2 } });
    const headersOf = ({ headers }: Response) =>
      ["limit", "remaining"].map((what) => headers.get(`x-ratelimit-${what}-requests`));
    const first = await post(chat, body, bearer("k"));
    expect([first.status, headersOf(first), first.headers.get("x-ratelimit-limit-tokens")]).toEqual([
      ...[200, ["2", "1"], null],
    ]);
    const wrong = await post("/v1/embeddings", {}, bearer("k")); // which is a request, too
    expect([wrong.status, headersOf(wrong)]).toEqual([400, ["2", "0"]]);
    const refused = await post("/tokenize", { prompt: "x" }, bearer("k"));
    expect([refused.headers.get("retry-after"), headersOf(refused)]).toEqual(["30", ["2", "0"]]);
    const message = "rate limit reached: the limit is 2 requests in a minute; try again in 30 s";
    expect(await errorOf(refused)).toMatchObject({
      status: 429,
      error: { message, type: "rate_limit_error", code: "rate_limit_exceeded" },
    });
    expect((await post(chat, body, bearer("l"))).status).toBe(200);
    expect((await request("/v1/models", bearer("k"))).status).toBe(200);
    const ofAnthropic = await post("/v1/messages", body, { headers: { "x-api-key": "k" } });
    expect(await ofAnthropic.json()).toMatchObject({ type: "error", error: { type: "rate_limit_error" } });
  });

  it("counts the tokens of prompts and answers, of all routes", async () => {
    const { post, request } = scriptedApp({ limits: { tokensPerMinute: 1000 } });
    const spentAfter = async (path: string, fields: object): Promise<number> => {
      await (await post(path, fields)).text();
      const metrics = await (await request("/metrics")).text();
      return Number(/^warploop:api_key_tokens_total\{api_key=""\} (\d+)$/m.exec(metrics)?.[1]);
    };
    expect(await spentAfter(chat, body)).toBe(5);
    expect(await spentAfter(chat, { ...body, stream: true })).toBe(10);
    expect(await spentAfter("/v1/messages", { ...body, max_tokens: 5 })).toBe(15);
    expect(await spentAfter("/v1/completions", { prompt: ["x", "y"], n: 2 })).toBe(15 + 2 * (3 + 4));
    expect(await spentAfter("/v1/embeddings", { input: "x".repeat(50_000) })).toBe(50_029);
    const refused = await post("/tokenize", { prompt: "x" });
    expect([refused.status, refused.headers.get("x-ratelimit-remaining-tokens")]).toEqual([429, "0"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(49 * 60 - 60);
  });

  it("has streams open until they end, or their client leaves, whose prompt counts", async () => {
    await using tiny = await TinyServer.start({
      apiKeys: ["a-secret"],
      limits: { maxOpen: 2, tokensPerMinute: 100_000 },
    });
    const long = { ...body, max_tokens: 1500, ignore_eos: true, stream: true };
    const gone = new AbortController();
    const ask = () => tiny.post(chat, long, { ...bearer("a-secret"), signal: gone.signal });
    const streams = [await ask(), await ask()];
    await streams[0]!.body!.getReader().read();
    const refused = await tiny.post(chat, body, bearer("a-secret"));
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
    const metricsOf = async () => (await fetch(`${tiny.url}/metrics`, bearer("a-secret"))).text();
    const text = await metricsOf();
    const name = nameOf("a-secret");
    expect(text).toContain(`warploop:api_key_open_requests{api_key="${name}"} 2`);
    expect(text).toContain(`warploop:api_key_limited_total{api_key="${name}",limit="open"} 1`);
    expect(text).not.toContain("a-secret");
    expect(Number(/api_key_tokens_total\{[^}]*\} (\d+)/.exec(text)?.[1])).toBeGreaterThan(5);
    gone.abort();
    await until(() => tiny.llm.stats().running === 0);
    const short = { ...body, max_tokens: 1 };
    const answer = await tiny.post(chat, short, bearer("a-secret"));
    expect([answer.status, (await answer.text()).length > 0]).toEqual([200, true]);
  });

  it("pays the prompt once, however often it is tried", async () => {
    const limits = { tokensPerMinute: 1000 };
    const options = { apiKeys: ["a-secret"], limits, retry: { max: 2, share: 1 } };
    const { engine, post, request } = scriptedApp(options);
    const { chat: answer } = engine;
    let numFailures = 0;
    engine.chat = (...args) => {
      const stream = answer.apply(engine, args);
      const never = async function* () {
        throw new ClosedError("LLM");
      };
      return numFailures++ < 2 ? { ...stream, [Symbol.asyncIterator]: never } : stream;
    };
    const answered = await post(chat, body, bearer("a-secret"));
    expect([answered.status, numFailures]).toEqual([200, 3]);
    expect(await answered.json()).toMatchObject({ usage: { prompt_tokens: 3, completion_tokens: 2 } });
    const metrics = await (await request("/metrics", bearer("a-secret"))).text();
    expect(/api_key_tokens_total\{[^}]*\} (\d+)/.exec(metrics)?.[1]).toBe("5");
  });

  it("takes a request that fails as over", async () => {
    const { app, engine, post } = scriptedApp({ limits: { maxOpen: 1 } });
    engine.failure = new Error("broken");
    for (const text of ["{", JSON.stringify(body)]) {
      expect([400, 500]).toContain((await post(chat, text)).status);
      expect([400, 500]).toContain((await post(chat, text, { headers: { accept: "x" } })).status);
    }
    engine.failure = undefined;
    engine.lateFailure = new Error("late");
    for (let i = 0; i < 2; i++)
      expect(await (await post(chat, { ...body, stream: true })).text()).toMatch(/error/);
    engine.lateFailure = undefined;
    const left = await app.fetch(new Request(`http://host${chat}`, postOf({ ...body, stream: true })));
    await left.body!.cancel();
    expect((await post(chat, body)).status).toBe(200);
  });
});
