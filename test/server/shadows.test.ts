// Contract: a shadow is given its share of a name's requests and nobody hears of its answers: it neither delays nor fails a request,
// whatever it does, works at so many at once, and ends with the server.
import { afterEach, describe, expect, it, vi } from "vitest";
import { appOf } from "../../server/app.js";
import { resolveApp } from "../../server/options.js";
import { Registry } from "../../server/registry/registry.js";
import { versionOf } from "../../server/registry/version.js";
import { RequestLog } from "../../server/requestLog.js";
import { HeldEngine } from "./heldEngine.js";
import { postOf, ScriptedEngine, until } from "./support.js";

afterEach(() => vi.restoreAllMocks());

/** "chat" is answered by `real`, and this share of it by `shadow`, too. */
function shadowed(share: number, shadow: ScriptedEngine = new HeldEngine(), real = new ScriptedEngine()) {
  const failures: unknown[] = [];
  const logger = { info: () => undefined, error: (line: unknown) => failures.push(line) };
  const resolved = resolveApp({ logger });
  const versions = [versionOf("real", real, {}), versionOf("shadow", shadow, {})];
  const names = new Map([["chat", { split: { real: 1 }, shadow: { version: "shadow", share } }]]);
  const app = appOf(new Registry(names, versions), resolved, new RequestLog(resolved));
  const ask = async (fields: object = {}): Promise<string> => {
    const init = postOf({ model: "chat", prompt: "Hi", ...fields });
    const response = await app.fetch(new Request("http://host/v1/completions", init));
    expect([response.status, response.headers.get("x-warploop-variant")]).toEqual([200, "real"]);
    return response.text();
  };
  const metrics = async (): Promise<Record<string, number>> => {
    const text = await (await app.fetch(new Request("http://host/metrics"))).text();
    const rows = [...text.matchAll(/^warploop:shadow_requests_total\{(.*),outcome="(\w+)"\} (\d+)$/gm)];
    for (const [, labels] of rows) expect(labels).toBe('model_name="chat",variant="shadow"');
    expect(text).not.toMatch(/^vllm:e2e_request_latency_seconds_count\{.*variant="shadow"/m);
    return Object.fromEntries(rows.map(([, , outcome, count]) => [outcome, Number(count)]));
  };
  return { app, shadow, real, ask, metrics, failures };
}

/** Until so many have ended or were dropped. */
async function ended(metrics: () => Promise<Record<string, number>>, count: number) {
  for (;;) {
    const outcomes = await metrics();
    if (Object.values(outcomes).reduce((a, b) => a + b, 0) >= count) return outcomes;
  }
}

it("is given its share, as the requests are, whole and as streams", async () => {
  const { shadow, real, ask, metrics } = shadowed(0.25);
  const draws = vi.spyOn(Math, "random");
  for (let i = 0; i < 40; i++) {
    draws.mockReturnValueOnce(i / 40);
    await ask({ stream: i % 2 === 0, max_tokens: i + 1, user: `${i}` });
  }
  expect(await ended(metrics, 10)).toEqual({ answered: 10 });
  expect([real.asked.length, shadow.asked.length]).toEqual([40, 10]);
  const lengths = ({ asked }: ScriptedEngine) => asked.map(({ options }) => options.maxTokens);
  expect(lengths(shadow)).toEqual(lengths(real).slice(0, 10));
});

describe("changes no answer", () => {
  it.each([
    { fails: { failure: new Error("x") }, outcome: "failed" },
    { fails: { lateFailure: new Error("x") }, outcome: "failed" },
    { fails: { failure: new RangeError("x") }, outcome: "failed" },
  ])("when it fails: $fails", async ({ fails, outcome }) => {
    const usual = shadowed(0.5, undefined);
    vi.spyOn(Math, "random").mockReturnValue(0.9);
    const plain = (text: string) => text.replaceAll(/"(id|created)":("[^"]*"|\d+)/g, "");
    const expected = [await usual.ask(), await usual.ask({ stream: true })].map(plain);
    expect(usual.shadow.asked).toEqual([]);
    const { ask, metrics, failures } = shadowed(1, Object.assign(new ScriptedEngine(), fails));
    expect([await ask(), await ask({ stream: true })].map(plain)).toEqual(expected);
    expect(await ended(metrics, 2)).toEqual({ [outcome]: 2 });
    expect(failures).toHaveLength(2);
  });

  it("when it hangs: so many are open, others are dropped, and all end with the server", async () => {
    const { app, shadow, real, ask, metrics } = shadowed(1);
    (shadow as HeldEngine).hold();
    for (let i = 0; i < 20; i++) await ask({ stream: i % 2 === 0 });
    await until(() => shadow.asked.length === 16);
    expect([real.asked.length, await metrics()]).toEqual([20, { dropped: 4 }]);
    app.drain();
    await app.idle();
    expect(await metrics()).toEqual({ dropped: 4, aborted: 16 });
  });

  it("when it answers the request itself: once is enough", async () => {
    const engine = new ScriptedEngine();
    const { ask, metrics } = shadowed(1, engine, engine);
    await ask();
    expect([engine.asked.length, await metrics()]).toEqual([1, {}]);
  });
});
