// Contract: what a client makes of a stream does not depend on where the network cuts its bytes.
import { afterAll, beforeAll, expect, it } from "vitest";
import { TinyServer } from "./support.js";

let tiny: TinyServer;
beforeAll(async () => {
  tiny = await TinyServer.start();
});
afterAll(async () => {
  await tiny[Symbol.asyncDispose]();
});

const request = {
  model: TinyServer.model,
  messages: [{ role: "user" as const, content: "Hello" }],
  ...{ max_tokens: 2, temperature: 0, stream: true as const, stream_options: { include_usage: true } },
};

/** All chunks that the client gets from a body in pieces. */
async function chunksOf(pieces: readonly Uint8Array[]): Promise<object[]> {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  const headers = { "content-type": "text/event-stream" };
  const client = tiny.client("unused", async () => new Response(body, { headers }));
  const chunks: object[] = [];
  for await (const chunk of await client.chat.completions.create(request)) chunks.push(chunk);
  return chunks;
}

it("cut at every byte, and at all of them", async () => {
  const response = await tiny.post("/v1/chat/completions", request);
  expect(response.headers.get("content-type")).toMatch(/^text\/event-stream/);
  const bytes = new Uint8Array(await response.arrayBuffer());
  const whole = await chunksOf([bytes]);
  expect(whole.length).toBeGreaterThan(4);
  expect(whole.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 2 }, model: request.model });
  for (let at = 1; at < bytes.length; at++)
    expect(await chunksOf([bytes.subarray(0, at), bytes.subarray(at)]), `cut at ${at}`).toEqual(whole);
  expect(await chunksOf(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)))).toEqual(whole);
}, 300_000);

it("is the same text as without a stream", async () => {
  const { stream: _, stream_options: __, ...plain } = request;
  const client = tiny.client();
  const { choices } = await client.chat.completions.create(plain);
  let text = "";
  for await (const chunk of await client.chat.completions.create(request))
    text += chunk.choices[0]?.delta.content ?? "";
  expect(text).toBe(choices[0]!.message.content);
});
