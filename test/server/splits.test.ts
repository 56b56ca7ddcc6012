// Contract: a name with several versions gives each its share of requests, one user's or session's always to the same, and says which one
// answered; other weights move no more of them than they must.
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createApp, type Split, type Splits } from "../../server/index.js";
import { drawVersion } from "../../server/registry/split.js";
import { expectDistribution } from "../support/chiSquare.js";
import { postOf, ScriptedEngine } from "./support.js";

const users = Array.from({ length: 10_000 }, (_, i) => `user-${i}`);

describe("10,000 draws", () => {
  it.each<{ split: Split }>([
    { split: { a: 90, b: 10 } },
    { split: { a: 0.5, b: 0.3, c: 0, d: 0.2 } },
    { split: { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1, g: 1 } },
    { split: { a: 1e-9, b: 3e-9 } },
    { split: { a: 5e-324, b: 5e-324 } },
    { split: { a: 1e308, b: 5e307 } },
  ])("fall as the weights say: $split", ({ split }) => {
    const ids = Object.keys(split);
    const weights = Object.values(split);
    const most = Math.max(...weights); // their sum may be too large for a number
    const shares = weights.map((weight) => weight / most);
    const sum = shares.reduce((a, b) => a + b);
    const drawn = users.map((user) => drawVersion("chat", split, user));
    const counts = ids.map((id) => drawn.filter((one) => one === id).length);
    expectDistribution(
      counts,
      shares.map((share) => share / sum),
    );
  });

  it("of other names are other ones", () => {
    const split = { a: 1, b: 1 };
    const both = users.filter((user) => drawVersion("x", split, user) === drawVersion("y", split, user));
    expectDistribution([both.length, users.length - both.length], [0.5, 0.5]);
  });

  it.each<{ before: Split; after: Split; moved: number }>([
    { before: { a: 90, b: 10 }, after: { a: 80, b: 20 }, moved: 0.1 },
    { before: { a: 50, b: 25, c: 25 }, after: { c: 30, b: 30, a: 40 }, moved: 0.1 },
    { before: { a: 1, b: 1 }, after: { b: 1, c: 1, a: 1 }, moved: 1 / 3 },
    { before: { a: 1, b: 1, c: 2 }, after: { a: 1, c: 2 }, moved: 0.25 },
    { before: { a: 1, b: 2 }, after: { b: 200, a: 100 }, moved: 0 },
  ])("move from $before to $after", ({ before, after, moved }) => {
    const some = users.slice(0, 3000);
    const pairs = some.map((user) => [drawVersion("chat", before, user), drawVersion("chat", after, user)]);
    const changed = pairs.filter(([from, to]) => from !== to);
    if (moved === 0) expect(changed).toEqual([]);
    else expectDistribution([changed.length, some.length - changed.length], [moved, 1 - moved]);
    const shareOf = (split: Split, id: string) =>
      (split[id] ?? 0) / Object.values(split).reduce((a, b) => a + b);
    for (const [, to] of changed) expect(shareOf(after, to!)).toBeGreaterThan(shareOf(before, to!));
  });
});

/** Two versions behind "chat", and where requests went. */
function splitApp(split: Split = { small: 1, "large é": 1 }) {
  const [small, large] = [new ScriptedEngine(), new ScriptedEngine()];
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ base: undefined }, { write: (line: string) => lines.push(JSON.parse(line)) });
  const app = createApp({ small, "large é": large, tiny: small }, { splits: { chat: split }, logger });
  const request = async (path: string, init?: RequestInit) =>
    app.fetch(new Request(`http://host${path}`, init));
  const variantOf = async (path: string, body: object, headers: Record<string, string> = {}) => {
    const before = [small.asked.length, large.asked.length];
    const response = await request(path, postOf({ model: "chat", ...body }, { headers }));
    await response.text();
    const variant = decodeURI(response.headers.get("x-warploop-variant")!);
    const asked = [small.asked.length - before[0]!, large.asked.length - before[1]!];
    if (response.status === 200) expect(asked).toEqual(variant === "small" ? [1, 0] : [0, 1]);
    return variant;
  };
  return { small, large, request, variantOf, lines };
}

const messages = [{ role: "user", content: "Hi" }];

describe("a name with two versions", () => {
  it.each([
    { path: "/v1/chat/completions", body: { messages }, key: (user: string) => ({ user }) },
    {
      path: "/v1/chat/completions",
      body: { messages, stream: true },
      key: (id: string) => ({ session_id: id }),
    },
    { path: "/v1/completions", body: { prompt: "Hi" }, key: (user: string) => ({ safety_identifier: user }) },
    { path: "/v1/responses", body: { input: "Hi" }, key: (key: string) => ({ prompt_cache_key: key }) },
    {
      path: "/v1/messages",
      body: { messages, max_tokens: 5 },
      key: (user_id: string) => ({ metadata: { user_id } }),
    },
    { path: "/v1/embeddings", body: { input: "Hi" }, key: (user: string) => ({ user }) },
  ])("gives a user one of them: $path with $key", async ({ path, body, key }) => {
    const { variantOf } = splitApp();
    const variants = [];
    for (const user of users.slice(0, 12)) {
      const variant = await variantOf(path, { ...body, ...key(user) });
      expect(await variantOf(path, { ...body, ...key(user) })).toBe(variant);
      expect(await variantOf(path, body, { "x-session-id": user })).toBe(variant);
      variants.push(variant);
    }
    expect(new Set(variants)).toEqual(new Set(["small", "large é"]));
  });

  it("draws where a request is nobody's, and never a version without weight", async () => {
    const { variantOf } = splitApp();
    const ask = (app: typeof variantOf) => app("/v1/completions", { prompt: "Hi", user: "" });
    const drawn = [];
    for (let i = 0; i < 40; i++) drawn.push(await ask(variantOf));
    expect(new Set(drawn)).toEqual(new Set(["small", "large é"]));
    const one = splitApp({ small: 0, "large é": 1 });
    for (let i = 0; i < 10; i++) expect(await ask(one.variantOf)).toBe("large é");
  });

  it("is listed, counted and logged by version; a failure says its version, too", async () => {
    const { request, variantOf, small, lines } = splitApp({ tiny: 1 });
    const list = (await (await request("/v1/models")).json()) as { data: { id: string }[] };
    expect(list.data.map(({ id }) => id)).toEqual(["small", "large é", "tiny", "chat"]);
    await variantOf("/v1/completions", { prompt: "Hi" });
    small.failure = new Error("x");
    expect(await variantOf("/v1/completions", { prompt: "Hi" })).toBe("small"); // as the model is called first
    const ended = lines.filter(({ msg }) => msg === "call ended");
    expect(ended.map(({ model, variant }) => [model, variant])).toEqual([
      ["chat", "small"],
      ["chat", "small"],
    ]);
    const text = await (await request("/metrics")).text();
    const labels = 'model_name="chat",engine="0",variant="small"';
    expect(text).toContain(`vllm:e2e_request_latency_seconds_count{${labels}} 2`);
    expect(text).toContain(`vllm:request_success_total{${labels},finished_reason="error"} 1`);
    const none = await request("/v1/completions", postOf({ prompt: "Hi" }));
    expect([none.status, none.headers.get("x-warploop-variant")]).toEqual([400, null]);
  });

  it.each<{ splits: Splits; says: string }>([
    { splits: { chat: { x: 1 } }, says: 'splits.chat: expected names of models (m), got "x"' },
    { splits: { m: { m: 1 } }, says: 'splits: expected names that no model has, got "m"' },
    { splits: { chat: { m: 0 } }, says: "options.splits.chat: expected a weight above 0" },
    { splits: { chat: { m: -1 } }, says: "options.splits.chat.m: Too small" },
    { splits: { chat: {} }, says: "options.splits.chat: expected a weight above 0" },
  ])("is refused: $says", ({ splits, says }) => {
    expect(() => createApp({ m: new ScriptedEngine() }, { splits })).toThrow(says);
  });
});
