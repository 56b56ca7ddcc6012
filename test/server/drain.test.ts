// Contract: a server that closes lets what runs finish, takes nothing new meanwhile, and ends with an error what takes too long.
import { expect, it } from "vitest";
import { createApp, serve } from "../../server/index.js";
import { postOf, ScriptedEngine, TinyServer, until } from "./support.js";

const request = (length: number) => ({
  model: TinyServer.model,
  messages: [{ role: "user" as const, content: "Hello" }],
  ...{ max_tokens: length, ignore_eos: true, stream: true as const },
});

it("lets a stream finish, refuses others, and is not ready", async () => {
  await using tiny = await TinyServer.start();
  const stream = await tiny.client().chat.completions.create(request(300));
  const chunks = stream[Symbol.asyncIterator]();
  await chunks.next();
  const closed = tiny.server.close({ drainMs: 60_000 });
  expect((await fetch(`${tiny.url}/ready`)).status).toBe(503);
  expect((await fetch(`${tiny.url}/health`)).status).toBe(200);
  const refused = await tiny.post("/v1/chat/completions", request(1));
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
  await refused.text();
  let reason: string | null | undefined;
  for (let next = await chunks.next(); !next.done; next = await chunks.next())
    reason = next.value.choices[0]?.finish_reason;
  expect(reason).toBe("length");
  await closed;
  await expect(fetch(`${tiny.url}/health`)).rejects.toThrow();
});

it("ends what takes longer with an error", async () => {
  await using tiny = await TinyServer.start();
  const stream = await tiny.client().chat.completions.create(request(2000));
  const chunks = stream[Symbol.asyncIterator]();
  await chunks.next();
  const closed = tiny.server.close({ drainMs: 50 });
  const read = async () => {
    for (let next = await chunks.next(); !next.done; next = await chunks.next());
  };
  await expect(read()).rejects.toMatchObject({ error: { code: "unavailable" } });
  await closed;
  await until(() => tiny.llm.stats().running === 0);
});

it("ends what a client does not read on", async () => {
  await using tiny = await TinyServer.start();
  const app = createApp({ m: tiny.llm });
  const init = postOf({ ...request(2000), model: "m" });
  const response = await app.fetch(new Request("http://host/v1/chat/completions", init));
  await until(() => tiny.llm.stats().generatedTokens > 10);
  await app.close(10);
  await until(() => tiny.llm.stats().running === 0);
  expect(await response.text()).toContain('"code":"unavailable"');
});

it.each([-1, Number.NaN, 2 ** 31, "5"])("does not wait for %s ms", async (drainMs) => {
  const server = await serve({ m: new ScriptedEngine() }, { port: 0, logger: false });
  await expect(server.close({ drainMs: drainMs as number })).rejects.toMatchObject({
    name: "ArgumentTypeError",
    message: expect.stringMatching(/^close: options\.drainMs: /) as string,
  });
  await server.close();
});

it("listens on this machine alone unless told, and says where a port is taken", async () => {
  const models = { m: new ScriptedEngine() };
  const globals = [globalThis.Request, globalThis.Response];
  const server = await serve(models, { port: 0, logger: false });
  expect(server.url).toBe(`http://127.0.0.1:${server.port}`);
  await expect(serve(models, { port: server.port, logger: false })).rejects.toMatchObject({
    code: "EADDRINUSE",
  });
  expect([globalThis.Request, globalThis.Response]).toEqual(globals); // which the adaptor would replace
  await Promise.all([server.close(), server.close({ drainMs: 0 })]);
});
