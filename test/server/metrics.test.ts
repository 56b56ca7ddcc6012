// Contract: /metrics has what gateways and dashboards read, by vLLM's names, with numbers that move as they should.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TinyServer } from "./support.js";

let tiny: TinyServer;
beforeAll(async () => {
  tiny = await TinyServer.start();
});
afterAll(async () => {
  await tiny[Symbol.asyncDispose]();
});

/** By name and labels but for the model. */
async function metrics(): Promise<Map<string, number>> {
  const response = await fetch(`${tiny.url}/metrics`);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain/);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      const name = line
        .slice(0, at)
        .replace(`model_name="${TinyServer.model}"`, "")
        .replace(`variant="${TinyServer.model}"`, "")
        .replace(`engine="0"`, "");
      return [
        name
          .replaceAll(/([{,]),+/g, "$1")
          .replaceAll(/,+}/g, "}")
          .replace("{}", ""),
        Number(line.slice(at + 1)),
      ];
    }),
  );
}

it("counts answers, their tokens and times", async () => {
  const body = {
    messages: [{ role: "user", content: "Tell me about a fox. ".repeat(8) }],
    max_tokens: 5,
    n: 2,
    ignore_eos: true,
  };
  const ask = async () => {
    const answer = await tiny.post("/v1/chat/completions", body);
    return (await answer.json()) as { usage: { prompt_tokens: number } };
  };
  await ask();
  const { prompt_tokens } = (await ask()).usage;
  await tiny.post("/v1/chat/completions", { ...body, temperature: -1 });
  const found = await metrics();
  const expected = {
    "vllm:num_requests_running": 0,
    "vllm:num_requests_waiting": 0,
    "vllm:kv_cache_usage_perc": 0,
    "vllm:num_preemptions_total": 0,
    "vllm:prompt_tokens_total": 2 * prompt_tokens,
    "vllm:generation_tokens_total": 20,
    'vllm:request_success_total{finished_reason="length"}': 4,
    "vllm:prefix_cache_queries_total": tiny.llm.stats().prefix.queries,
    "vllm:prefix_cache_hits_total": tiny.llm.stats().prefix.hits,
    "vllm:time_to_first_token_seconds_count": 2,
    "vllm:inter_token_latency_seconds_count": 16,
    "vllm:e2e_request_latency_seconds_count": 2,
    "vllm:request_prompt_tokens_sum": 2 * prompt_tokens,
    "vllm:request_generation_tokens_sum": 20,
    'http_requests_total{handler="/v1/chat/completions",method="POST",status="200"}': 2,
    'http_requests_total{handler="/v1/chat/completions",method="POST",status="400"}': 1,
  };
  expect(Object.fromEntries(Object.keys(expected).map((name) => [name, found.get(name)]))).toEqual(expected);
  expect(found.get("vllm:prefix_cache_hits_total")).toBeGreaterThan(0);
  expect(found.get("vllm:time_to_first_token_seconds_sum")).toBeGreaterThan(0);
  expect(await metrics()).toEqual(
    new Map([...found, ['http_requests_total{handler="/metrics",method="GET",status="200"}', 1]]),
  );
});

it("shows what runs, and a client that leaves as an abort", async () => {
  const body = {
    messages: [{ role: "user", content: "x" }],
    max_tokens: 1500,
    ignore_eos: true,
    stream: true,
  };
  const gone = new AbortController();
  const stream = await tiny.post("/v1/chat/completions", body, { signal: gone.signal });
  await stream.body!.getReader().read();
  const busy = await metrics();
  expect(busy.get("vllm:num_requests_running")).toBe(1);
  expect(busy.get("vllm:kv_cache_usage_perc")).toBeGreaterThan(0);
  gone.abort();
  let aborted: number | undefined;
  while (aborted === undefined)
    aborted = (await metrics()).get('vllm:request_success_total{finished_reason="abort"}');
  expect(aborted).toBe(1);
});

it("the dashboard of the docs asks for metrics and labels that there are", async () => {
  const page = JSON.parse(readFileSync("docs/grafana.json", "utf8")) as {
    panels: { id: number; targets: { expr: string }[] }[];
  };
  const text = await (await fetch(`${tiny.url}/metrics`)).text();
  const kinds = new Map([...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name, kind]) => [name, kind]));
  const expressions = page.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const names = expressions.flatMap((expr) => expr.match(/\b(vllm|warploop):\w+|\bhttp_\w+/g) ?? []);
  expect(new Set(page.panels.map(({ id }) => id)).size).toBe(page.panels.length);
  expect(names.length).toBeGreaterThanOrEqual(expressions.length);
  for (const name of names) {
    const kind = name.endsWith("_bucket") ? "histogram" : name.endsWith("_total") ? "counter" : "gauge";
    expect([name, kinds.get(name.replace(/_bucket$/, ""))]).toEqual([name, kind]);
  }
  const labels = expressions.flatMap((expr) => /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(", ") ?? []);
  for (const label of new Set(labels)) expect(text).toMatch(new RegExp(`[{,]${label}="`));
});
