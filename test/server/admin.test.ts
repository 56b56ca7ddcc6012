// Contract: the admin plane changes what is served without a request noticing, on a port and with keys of its own; what fails has changed
// nothing, and what was changed is there at the next start.
import fs from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ArgumentRangeError } from "../../lib/index.js";
import { serve, type ServedModels, type ServeOptions, type Server } from "../../server/index.js";
import { HeldEngine } from "./heldEngine.js";
import { errorOf, postOf, ScriptedEngine, until } from "./support.js";

let folder: string;
let stateFile: string;
/** What was loaded, by what it was called. */
let engines: Map<string, HeldEngine>;
let server: Server;
beforeAll(async () => {
  folder = await fs.mkdtemp(path.join(tmpdir(), "warploop-admin-"));
});
afterAll(() => fs.rm(folder, { recursive: true, force: true }));
beforeEach(async () => {
  await fs.mkdir(path.join(folder, "state"), { recursive: true });
  stateFile = path.join(folder, "state", "state.json");
  engines = new Map();
});
afterEach(async () => {
  await server.close({ drainMs: 0 });
  await fs.rm(path.join(folder, "state"), { recursive: true, force: true });
});

async function load(model: string): Promise<HeldEngine> {
  if (model === "missing") throw new Error("there is no such folder");
  const engine = new HeldEngine();
  if (model === "broken") engine.failure = new Error("weights are NaN");
  engines.set(model, engine);
  return engine;
}

async function start(
  models: ServedModels = { "org/chat": "first" },
  options: ServeOptions = {},
): Promise<void> {
  const ports = { port: 0, adminPort: 0, adminKeys: ["k"], logger: false } as const;
  server = await serve(models, { ...ports, load, stateFile, ...options });
}

interface State {
  readonly revision: number;
  readonly names: Record<string, { split: object; previous?: object }>;
  readonly versions: Record<string, { model: string | null; state: string; calls: number }>;
}

const bearer = { authorization: "Bearer k" };
const send = (method: string, route: string, body?: object): Promise<Response> =>
  fetch(server.adminUrl! + route, {
    ...(body ? postOf(body) : {}),
    method,
    headers: { ...bearer, "content-type": "application/json" },
  });

async function change(method: string, route: string, body?: object): Promise<State> {
  const response = await send(method, route, body);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return JSON.parse(text) as State;
}

const stateNow = () => change("GET", "/state");
const chat = "/names/org%2Fchat";
const swap = (version: string, model?: string, more: object = {}) =>
  change("POST", `${chat}/swap`, { version, ...(model !== undefined && { model }), ...more });

/** Asks, and says which version has answered. */
async function asked(fields: object = {}): Promise<{ variant: string | null; text: string }> {
  const body = { model: "org/chat", prompt: "Hi", ...fields };
  const response = await fetch(`${server.url}/v1/completions`, postOf(body));
  return { variant: response.headers.get("x-warploop-variant"), text: await response.text() };
}
const variant = async () => (await asked()).variant;

it("has a port and keys of its own", async () => {
  await start();
  const wrong: Record<string, string>[] = [{}, { authorization: "Bearer x" }, { "x-api-key": "k" }];
  for (const headers of wrong)
    for (const route of ["/state", "/metrics", "/nowhere"])
      expect((await fetch(server.adminUrl! + route, { headers })).status).toBe(401);
  for (const route of ["/state", "/versions", `${chat}/swap`])
    expect((await fetch(server.url + route, { headers: bearer })).status).toBe(404);
  expect((await send("GET", "/v1/models")).status).toBe(404);
  expect(await (await send("GET", "/metrics")).text()).toContain("vllm:num_requests_running");
  expect(new URL(server.adminUrl!).hostname).toBe("127.0.0.1");
  expect(await stateNow()).toEqual({
    revision: 0,
    names: { "org/chat": { split: { "org/chat": 1 } } },
    versions: { "org/chat": { model: "first", state: "running", calls: 0 } },
  });
});

it("swaps a model while a request runs, goes back, and closes what is not wanted any more", async () => {
  await start();
  const first = engines.get("first")!;
  first.hold();
  const running = asked({ stream: true });
  await until(() => first.asked.length === 1);
  const swapped = await swap("v2", "second");
  expect(swapped).toMatchObject({
    revision: 1,
    names: { "org/chat": { split: { v2: 1 }, previous: { "org/chat": 1 } } },
    versions: { "org/chat": { calls: 1 }, v2: { model: "second", calls: 0 } },
  });
  expect(engines.get("second")!.asked.map(({ prompt }) => prompt)).toEqual([[1]]); // the token that shows that it answers
  expect(await variant()).toBe("v2");
  first.release();
  expect(await running).toMatchObject({
    variant: "org/chat",
    text: expect.stringMatching(/"stop".*\[DONE\]/s),
  });
  expect((await change("POST", `${chat}/rollback`)).names["org/chat"]).toEqual({
    split: { "org/chat": 1 },
    previous: { v2: 1 },
  });
  expect(await variant()).toBe("org/chat");
  await change("POST", `${chat}/rollback`);
  const { names, versions } = await change("DELETE", "/versions/org%2Fchat");
  expect([names["org/chat"], Object.keys(versions)]).toEqual([{ split: { v2: 1 } }, ["v2"]]);
  expect(first.isClosed).toBe(true);
  const gauges = (await (await send("GET", "/metrics")).text()).match(/^vllm:num_requests_running\{.*$/gm);
  expect(gauges).toEqual(['vllm:num_requests_running{model_name="org/chat",engine="0",variant="v2"} 0']);
  expect((await errorOf(await send("POST", `${chat}/rollback`))).error.message).toBe(
    "org/chat has no previous split, or a version of it was removed",
  );
  expect(await variant()).toBe("v2");
});

it.each([
  { keep: false, drainMs: 60_000, ends: /"finish_reason":"stop"/ },
  { keep: false, drainMs: 20, ends: /"code":"unavailable"/ },
])("lets requests of a version that is not kept finish within $drainMs ms", async ({ ends, ...options }) => {
  await start();
  const first = engines.get("first")!;
  first.hold();
  const running = asked({ stream: true });
  await until(() => first.asked.length === 1);
  const swapped = swap("v2", "second", options);
  await until(() => (engines.get("second")?.asked.length ?? 0) > 0);
  if (options.drainMs > 1000) {
    expect(first.isClosed).toBe(false);
    first.release();
  }
  expect((await running).text).toMatch(ends);
  expect(Object.keys((await swapped).versions)).toEqual(["v2"]);
  expect(first.isClosed).toBe(true);
});

it("keeps the way back when a swap is sent again", async () => {
  await start();
  await swap("v2", "second");
  expect((await swap("v2")).names["org/chat"]).toEqual({ split: { v2: 1 }, previous: { "org/chat": 1 } });
  await change("POST", `${chat}/rollback`);
  expect(await variant()).toBe("org/chat");
});

it("gives versions their shares of requests", async () => {
  await start();
  await change("POST", "/versions", { version: "v2", model: "second" });
  expect(await variant()).toBe("org/chat");
  await change("PUT", chat, { split: { "org/chat": 1, v2: 1 } });
  const variants = [];
  for (let user = 0; user < 20; user++) variants.push((await asked({ user: `${user}` })).variant);
  expect(new Set(variants)).toEqual(new Set(["org/chat", "v2"]));
  expect((await errorOf(await send("DELETE", "/versions/v2"))).error).toMatchObject({
    code: "conflict",
    message: "v2 answers requests of org/chat: change their split first",
  });
  await change("PUT", chat, { split: { "org/chat": 1, v2: 0 } });
  const { names } = await change("DELETE", "/versions/v2?drainMs=5");
  expect(names["org/chat"]).toEqual({ split: { "org/chat": 1 } });
});

it("gives a share of the requests to a shadow, too", async () => {
  await start();
  await change("POST", "/versions", { version: "v2", model: "second" });
  const shadow = { version: "v2", share: 1 };
  expect((await change("PUT", chat, { shadow })).names["org/chat"]).toEqual({
    split: { "org/chat": 1 },
    shadow,
  });
  const second = engines.get("second")!;
  second.hold();
  expect(await variant()).toBe("org/chat");
  await until(() => second.asked.length === 2);
  expect((await errorOf(await send("DELETE", "/versions/v2"))).error.message).toBe(
    "v2 is the shadow of org/chat: take it away first",
  );
  expect((await change("PUT", chat, { shadow: null })).names["org/chat"]).toEqual({
    split: { "org/chat": 1 },
  });
  await change("DELETE", "/versions/v2"); // which ends what the shadow still does
  expect(second.isClosed).toBe(true);
  expect(await variant()).toBe("org/chat");
});

describe("refuses, and changes nothing:", () => {
  const swapTo = (fields: object) => ["POST", `${chat}/swap`, fields] as const;
  const splitTo = (split: unknown) => ["PUT", chat, { split }] as const;
  it.each<{ send: readonly [string, string, object?]; status: number; says: string; param?: string }>([
    {
      send: swapTo({ version: "v2", model: "missing" }),
      status: 422,
      says: "model: missing is not served: there is no such folder",
    },
    {
      send: swapTo({ version: "v2", model: "broken" }),
      status: 422,
      says: "model: broken is not served: weights are NaN",
    },
    { send: swapTo({ version: "v2" }), status: 400, says: "split.v2: is not loaded; loaded are org/chat" },
    {
      send: swapTo({ version: "org/chat", model: "x" }),
      status: 409,
      says: "version: there is a org/chat already, loaded from first; a swap",
    },
    { send: swapTo({}), status: 400, says: "version: expected string, received undefined" },
    { send: swapTo({ version: "a b" }), status: 400, says: "version: expected 1 to 128 letters" },
    {
      send: swapTo({ version: "__proto__", model: "x" }),
      status: 400,
      says: "version: expected another id than __proto__",
    },
    {
      send: swapTo({ version: "..", model: "x" }),
      status: 400,
      says: "version: expected another id than ..",
    },
    { send: swapTo({ version: "v2", model: "x", keeps: true }), status: 400, says: "keeps: unknown field" },
    { send: swapTo({ version: "v2", drainMs: -1 }), status: 400, says: "drainMs: too small" },
    {
      send: ["POST", "/names/x/swap", { version: "v2", model: "x" }],
      status: 404,
      says: 'no name "x"; served are org/chat',
    },
    { send: ["POST", "/names/x/rollback"], status: 404, says: 'no name "x"' },
    { send: ["POST", `${chat}/rollback`], status: 409, says: "org/chat has no previous split" },
    { send: splitTo({ "org/chat": 1, v2: 1 }), status: 400, says: "split.v2: is not loaded" },
    { send: splitTo({ "org/chat": -1 }), status: 400, says: "split.org/chat: too small" },
    { send: splitTo({ "org/chat": 0 }), status: 400, says: "split: expected a weight above 0" },
    { send: splitTo([1]), status: 400, says: "split: expected record, received array" },
    {
      send: ["PUT", chat, { shadow: { version: "v2", share: 0.5 } }],
      status: 400,
      says: "shadow.version: is not loaded",
    },
    {
      send: ["PUT", chat, { shadow: { version: "org/chat", share: 2 } }],
      status: 400,
      says: "shadow.share: too big",
    },
    { send: ["PUT", chat, {}], status: 400, says: "body: expected split or shadow" },
    { send: ["POST", "/versions", { version: "v2" }], status: 400, says: "model: expected string" },
    { send: ["DELETE", "/versions/v2"], status: 404, says: 'no version "v2" is loaded' },
    { send: ["DELETE", "/versions/org%2Fchat"], status: 409, says: "org/chat answers requests of org/chat" },
    { send: ["DELETE", "/versions/v2?drainMs=x"], status: 400, says: "drainMs: " },
    { send: ["DELETE", "/versions/v2?drainMs="], status: 400, says: "drainMs: " },
    { send: ["GET", "/nowhere"], status: 404, says: "no such route" },
  ])("$says", async ({ send: [method, route, body], status, says }) => {
    await start();
    const answer = await errorOf(await send(method, route, body));
    expect([answer.status, answer.error.message.slice(0, says.length)]).toEqual([status, says]);
    for (const [model, engine] of engines)
      expect([model, engine.isClosed]).toEqual([model, model !== "first"]);
    const { revision, versions } = await stateNow();
    expect([revision, Object.keys(versions), await variant()]).toEqual([0, ["org/chat"], "org/chat"]);
  });

  it("a state that cannot be written", async () => {
    await start();
    await fs.rm(path.dirname(stateFile), { recursive: true });
    const answer = await errorOf(await send("POST", `${chat}/swap`, { version: "v2", model: "second" }));
    expect(answer).toMatchObject({ status: 507, error: { code: "state_not_written" } });
    expect(answer.error.message).toMatch(/^the change was not made: ENOENT/);
    expect([engines.get("second")!.isClosed, await variant()]).toEqual([true, "org/chat"]);
    await fs.mkdir(path.dirname(stateFile));
    expect((await swap("v2", "second")).revision).toBe(1);
  });

  it("keys that are missing, and such as no header can have", async () => {
    await start();
    for (const keys of [{ adminKeys: ["a b"] }, { adminKeys: ["k"], apiKeys: ["schlüssel"] }])
      await expect(
        serve({ m: "first" }, { port: 0, adminPort: 0, load, logger: false, ...keys }),
      ).rejects.toThrow(
        /options\.(adminKeys|apiKeys)\.0: expected letters, digits and signs of ASCII, without blanks/,
      );
    await expect(serve({ m: "first" }, { adminPort: 0, logger: false })).rejects.toThrow(
      "options.adminKeys: ",
    );
  });
});

describe("the next start", () => {
  const restart = async (...args: Parameters<typeof start>): Promise<void> => {
    await server.close();
    engines.clear();
    await start(...args);
  };

  it("goes on with what was changed, and loads no more than it uses", async () => {
    await start();
    await swap("v2", "second");
    await change("DELETE", "/versions/org%2Fchat");
    await restart();
    expect([[...engines.keys()], await variant()]).toEqual([["second"], "v2"]);
    await swap("v3", "third");
    await change("PUT", chat, { shadow: { version: "v2", share: 0.5 } });
    await restart({ "org/chat": "first", other: "fourth" });
    expect([[...engines.keys()], await variant()]).toEqual([["fourth", "second", "third"], "v3"]);
    const { names } = await change("POST", `${chat}/rollback`);
    expect([await variant(), names["org/chat"]]).toEqual([
      "v2",
      { split: { v2: 1 }, previous: { v3: 1 }, shadow: { version: "v2", share: 0.5 } },
    ]);
    const lines = (await fs.readFile(`${stateFile}.audit.jsonl`, "utf8")).trimEnd().split("\n");
    const entries = lines.map((line) => JSON.parse(line) as { who: string; what: string; time: string });
    expect(entries.map(({ what }) => what)).toEqual([
      "swap org/chat to v2",
      "remove org/chat",
      "swap org/chat to v3",
      'change org/chat: {"shadow":{"version":"v2","share":0.5}}',
      "roll back org/chat",
    ]);
    for (const { who, time } of entries)
      expect([who, new Date(time).toISOString()]).toEqual([
        expect.stringMatching(/^key [0-9a-f]{16}$/),
        time,
      ]);
  });

  it("leaves a version out that does not load any more, unless it is to answer", async () => {
    await start();
    await swap("v2", "second");
    await swap("v3", "third");
    await change("PUT", chat, { shadow: { version: "v2", share: 0.5 } });
    await server.close();
    const gone = (what: string) => async (model: string) => {
      if (model === what) throw new ArgumentRangeError(`there is no folder ${model}`);
      return load(model);
    };
    const models = { "org/chat": "first" };
    const says =
      "options.stateFile: v3, which was loaded from third, does not load: there is no folder third";
    const options = { port: 0, logger: false, stateFile } as const;
    await expect(serve(models, { ...options, load: gone("third") })).rejects.toThrow(says);
    await start(models, { load: gone("second") });
    const { names, versions } = await stateNow();
    expect([names["org/chat"], Object.keys(versions)]).toEqual([{ split: { v3: 1 } }, ["v3"]]);
    expect(await variant()).toBe("v3");
    await swap("v2", "fourth");
    expect((await change("POST", `${chat}/rollback`)).names["org/chat"]!.split).toEqual({ v3: 1 });
  });

  it("says which version nobody gives any more; and leaves names out that are gone", async () => {
    const small = new ScriptedEngine();
    await start({ "org/chat": "first", small });
    await change("PUT", chat, { split: { small: 1 } });
    const models = { "org/chat": "first" };
    await server.close();
    await expect(serve(models, { port: 0, logger: false, load, stateFile })).rejects.toThrow(
      "models: org/chat was changed to use small, which is not given: give it, or remove the file of options.stateFile and the one beside it",
    );
    await start({ small });
    expect((await stateNow()).names).toEqual({ small: { split: { small: 1 } } });
  });
});

it("closes what it has loaded and nothing else, also when it cannot start", async () => {
  const given = new HeldEngine();
  await start({ given, first: "first", again: "first" });
  expect([...engines.keys()]).toEqual(["first"]);
  const { port } = server;
  const taken = { port, logger: false, load } as const;
  await expect(serve({ second: "second" }, taken)).rejects.toMatchObject({ code: "EADDRINUSE" });
  await expect(serve({ third: "third", x: "missing" }, { ...taken, port: 0 })).rejects.toThrow(
    "no such folder",
  );
  expect([...engines].map(([model, { isClosed }]) => [model, isClosed])).toEqual([
    ["first", false],
    ["second", true],
    ["third", true],
  ]);
  await server.close();
  expect([given.isClosed, engines.get("first")!.isClosed]).toEqual([false, true]);
});
