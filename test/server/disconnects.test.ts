// Contract: a client that leaves frees its place, its pages and its turn in the queue, whenever it leaves.
import { connect } from "node:net";
import { expect, it } from "vitest";
import { Random } from "../support/random.js";
import { createApp } from "../../server/index.js";
import { errorOf, postOf, TinyServer, until } from "./support.js";

const chat = (length: number, stream: boolean) => ({
  messages: [{ role: "user", content: "Tell me about a fox." }],
  ...{ max_tokens: length, ignore_eos: true, stream },
});

function isQuiet({ llm }: TinyServer): boolean {
  const { running, waiting, usedPages } = llm.stats();
  return running === 0 && waiting === 0 && usedPages === 0;
}

const message = { role: "user", content: "Tell me about a fox." };
const routes = [
  { path: "/v1/chat/completions", body: chat(1500, true) },
  {
    path: "/v1/messages",
    body: { messages: [message], max_tokens: 1500, stream: true, stop_sequences: ["@"] },
  },
  {
    path: "/v1/responses",
    body: { input: [message], max_output_tokens: 1500, ignore_eos: true, stream: true },
  },
].flatMap(({ path, body }) => [
  { path, body },
  { path, body: { ...body, stream: false } },
]);

it.each(routes)("a single one: $path, stream: $body.stream", async ({ path, body }) => {
  await using tiny = await TinyServer.start();
  const { stream } = body;
  const gone = new AbortController();
  const answer = tiny.post(path, body, { signal: gone.signal });
  if (stream) await (await answer).body!.getReader().read();
  await until(() => tiny.llm.stats().running === 1);
  gone.abort();
  await expect(stream ? (await answer).text() : answer).rejects.toThrow();
  await until(() => isQuiet(tiny));
  expect(tiny.llm.stats().generatedTokens).toBeLessThan(1000);
});

it("one that cancels the body of a response, without a socket", async () => {
  await using tiny = await TinyServer.start();
  const app = createApp({ m: tiny.llm });
  const url = "http://host/v1/chat/completions";
  const response = await app.fetch(new Request(url, postOf(chat(1500, true))));
  const reader = response.body!.getReader();
  await reader.read();
  await reader.cancel();
  await app.idle();
  await until(() => isQuiet(tiny));
  expect(tiny.llm.stats().generatedTokens).toBeLessThan(1000);
});

it.each([false, true])(
  "a request with a prompt that is refused leaves nothing of its others, stream: %s",
  async (stream) => {
    await using tiny = await TinyServer.start();
    const prompt = [...Array.from({ length: 7 }, () => [1, 2, 3]), Array.from({ length: 5000 }, () => 5)];
    const answer = await tiny.post("/v1/completions", { prompt, max_tokens: 1500, ignore_eos: true, stream });
    expect(answer.status).toBe(400);
    await until(() => isQuiet(tiny));
    expect(tiny.llm.stats().generatedTokens).toBeLessThan(1000);
  },
);

it("one that sends half of its body is no failure of ours", async () => {
  await using tiny = await TinyServer.start();
  const socket = connect(Number(new URL(tiny.url).port), "127.0.0.1");
  const head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
  socket.write(`${head}content-length: 100\r\n\r\n{"mess`);
  const counted = async (): Promise<string> => {
    const metrics = await (await fetch(`${tiny.url}/metrics`)).text();
    return /^http_requests_total.*chat.*$/m.exec(metrics)?.[0] ?? "";
  };
  await new Promise((resolve) => setTimeout(resolve, 50));
  socket.destroy();
  let line = "";
  for (let i = 0; i < 400 && line === ""; i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    line = await counted();
  }
  expect(line).toContain("499");
});

it("50 streams at once, of which some leave at random times", async () => {
  await using tiny = await TinyServer.start({ maxQueue: 64 });
  const random = new Random(7);
  const client = tiny.client();
  const body = { model: TinyServer.model, ...chat(24, true), stream: true as const };
  const leaves = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? random.integer(0, 20) : Infinity));
  const counts = leaves.map(async (most) => {
    const gone = new AbortController();
    const timer = Number.isFinite(most) ? setTimeout(() => gone.abort(), most * 20) : undefined;
    let reason: string | null = null;
    try {
      const stream = await client.chat.completions.create(body as never, { signal: gone.signal });
      let left = most;
      for await (const chunk of stream as unknown as AsyncIterable<{
        choices: { finish_reason: string | null }[];
      }>) {
        reason = chunk.choices[0]!.finish_reason;
        if (left-- <= 0) break; // the client closes the connection
      }
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    }
    clearTimeout(timer);
    return reason;
  });
  const reasons = await Promise.all(counts);
  expect(reasons.filter((_, i) => leaves[i] === Infinity)).toEqual(
    Array.from({ length: 25 }, () => "length"),
  );
  await until(() => isQuiet(tiny));
  tiny.llm.checkIntegrity();
  const after = await client.chat.completions.create({ ...body, stream: false } as never);
  expect(after).toMatchObject({ choices: [{ finish_reason: "length" }] });
});

it("one that leaves the queue makes room in it", async () => {
  await using tiny = await TinyServer.start({ maxQueue: 1 }, 1);
  const runs = await tiny.post("/v1/chat/completions", chat(1500, true));
  await runs.body!.getReader().read();
  const gone = new AbortController();
  const waits = tiny.post("/v1/chat/completions", chat(4, false), { signal: gone.signal });
  await until(() => tiny.llm.stats().waiting === 1);
  const refused = await tiny.post("/v1/chat/completions", chat(4, false));
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await errorOf(refused)).toMatchObject({
    status: 429,
    error: { type: "rate_limit_error", code: "queue_full" },
  });
  gone.abort();
  await expect(waits).rejects.toThrow();
  await until(() => tiny.llm.stats().waiting === 0);
  const next = fetch(`${tiny.url}/v1/chat/completions`, postOf(chat(2, false)));
  await until(() => tiny.llm.stats().waiting === 1);
  await tiny.server.close({ drainMs: 0 });
  expect((await next).status).toBe(503);
});
