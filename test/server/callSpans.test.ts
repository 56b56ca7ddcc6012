// Contract: each call is a span of OpenTelemetry, below the one that the request names, with what was asked for and used by the
// conventions for generative AI; how it ended, and never what was asked or answered.
import { propagation, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";
import { afterAll, beforeEach, expect, it } from "vitest";
import { scriptedApp } from "./support.js";

const exporter = new InMemorySpanExporter();
trace.setGlobalTracerProvider(
  new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }),
);
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
beforeEach(() => exporter.reset());
afterAll(() => trace.disable());

const messages = [{ role: "user", content: "a secret" }];
const spans = () => exporter.getFinishedSpans();

it("a chat, whole and streamed", async () => {
  const { post } = scriptedApp();
  const body = { messages, max_completion_tokens: 9, temperature: 0.5, n: 2 };
  const id = "0af7651916cd43dd8448eb211c80319c";
  const headers = { traceparent: `00-${id}-b7ad6b7169203331-01`, "x-request-id": "mine" };
  await (await post("/v1/chat/completions", body, { headers })).text();
  await (await post("/v1/chat/completions", { ...body, stream: true })).text();
  expect(spans()).toHaveLength(2);
  for (const { name, kind, attributes, status } of spans()) {
    expect({ name, kind, status }).toMatchObject({
      name: "chat m",
      kind: SpanKind.SERVER,
      status: { code: SpanStatusCode.UNSET },
    });
    expect(attributes).toMatchObject({
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "m",
      "gen_ai.request.max_tokens": 9,
      "gen_ai.request.temperature": 0.5,
      "gen_ai.request.choice.count": 2,
      "gen_ai.usage.input_tokens": 3,
      "gen_ai.usage.output_tokens": 4,
      "gen_ai.response.finish_reasons": ["stop", "stop"],
      "gen_ai.latency.time_to_first_token": expect.any(Number) as number,
    });
    expect(attributes).not.toHaveProperty("error.type");
  }
  expect(JSON.stringify(spans().map(({ attributes, events }) => [attributes, events]))).not.toMatch(
    /secret|"ab"/,
  );
  const [first, second] = spans();
  expect([first!.spanContext().traceId, first!.parentSpanContext?.spanId]).toEqual([id, "b7ad6b7169203331"]);
  expect(first!.attributes["warploop.request.id"]).toBe("mine");
  expect(second!.spanContext().traceId).not.toBe(id);
});

it.each([
  ["/v1/completions", { prompt: "x" }, "text_completion m"],
  ["/v1/embeddings", { input: "x" }, "embeddings m"],
  ["/v1/messages", { messages, max_tokens: 5 }, "chat m"],
  ["/v1/responses", { input: "x" }, "chat m"],
])("%s", async (path, body, name) => {
  const { post } = scriptedApp();
  await (await post(path, body)).text();
  expect(spans().map((span) => span.name)).toEqual([name]);
});

it("how it failed: by the server's fault, by the client's, and before there was a call", async () => {
  const { post, engine } = scriptedApp();
  engine.failure = new Error("/srv/models/mine");
  await (await post("/v1/completions", { prompt: "x" })).text();
  engine.failure = undefined;
  engine.lateFailure = new Error("/srv/models/mine");
  await (await post("/v1/completions", { prompt: "x", stream: true })).text();
  expect(spans()).toHaveLength(2);
  for (const { attributes, status } of spans()) {
    expect([attributes["error.type"], status.code]).toEqual(["500", SpanStatusCode.ERROR]);
    expect(status.message).not.toContain("srv");
  }
  exporter.reset();
  await (await post("/v1/chat/completions", { messages, top_logprobs: 2 })).text();
  expect(spans().map(({ attributes, status }) => [attributes["error.type"], status.code])).toEqual([
    ["400", SpanStatusCode.UNSET],
  ]);
  exporter.reset();
  await (await post("/v1/chat/completions", { messages, temperature: -1 })).text();
  await (await post("/tokenize", { prompt: "x" })).text();
  expect(spans()).toEqual([]);
});
