// Contract: an engine in a process of its own answers as one in this process, and its end takes no server along: open calls fail with a
// typed error, a new process answers the next ones, until too many have ended.
import { execFileSync } from "node:child_process";
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LLM } from "../../lib/index.js";
import { type ChildEngine, serve, type Server, startEngine } from "../../server/index.js";
import { errorOf, postOf } from "./support.js";

const model = "models/tiny-moe";
const options = { device: "cpu", threads: 1, maxSequences: 8 } as const;
const messages = [{ role: "user" as const, content: "Hello" }];

describe("beside an engine in this process", () => {
  let llm: LLM;
  let engine: ChildEngine;
  beforeAll(async () => {
    [llm, engine] = await Promise.all([LLM.load(model, options), startEngine(model, options)]);
  });
  afterAll(() => Promise.all([llm.close(), engine.close()]));

  it.each([
    { maxTokens: 12 },
    { maxTokens: 8, n: 3, temperature: 1, seed: 5, logprobs: 2 },
    { maxTokens: 4, promptLogprobs: 1 },
    { maxTokens: 40, stop: ["fox"] },
    { maxTokens: 40, n: 2, temperature: 1, seed: 5, format: { regex: "[a-z]{6}" } },
  ])("%o", async (asked) => {
    const prompt = "Once upon a time, a small";
    const stream = engine.generate(prompt, asked);
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    const expected = await llm.generate(prompt, asked).result();
    expect(await stream.result()).toEqual(expected);
    expect(await stream.promptTokenIds()).toEqual(
      await llm.generate(prompt, { maxTokens: 1 }).promptTokenIds(),
    );
    expect(chunks.length).toBeGreaterThan(1);
  });

  it("chats, encodes, decodes and embeds", async () => {
    const asked = { maxTokens: 5 };
    expect(await engine.chat(messages, asked).result()).toEqual(await llm.chat(messages, asked).result());
    const ids = await engine.encode("a fox", {});
    expect(ids).toEqual(await llm.tokenizer!.encodeAsync("a fox"));
    expect(await engine.decode(ids, {})).toBe("a fox");
    expect(await engine.embed([ids], {})).toEqual(await llm.embed([ids]));
    expect(await engine.countTokens(messages, {})).toBe(await llm.countTokens(messages));
    const format = await engine.format({ tools: "hermes" });
    expect(format).toMatchObject({ syntax: { name: "hermes" }, takesTools: false });
    expect(format.tokens!.special.get(1023)).toBe("<|im_end|>");
    await expect(engine.format({ tools: "x" })).rejects.toMatchObject({ name: "ArgumentRangeError" });
    expect(engine.info).toEqual({
      contextLength: llm.stats().contextLength,
      hiddenSize: llm.shape.hiddenSize,
    });
  });

  it("fails as it does", async () => {
    const wrong = { maxTokens: -1 };
    await expect(engine.generate("a", wrong).started).rejects.toMatchObject({
      name: "ArgumentRangeError",
      code: "ERR_ARGUMENT_RANGE",
      message: expect.stringMatching(/^maxTokens: /) as string,
    });
    const format = { parts: { schema: { nope: {} }, name: "guided_json" } };
    await expect(engine.generate("a", { format }).started).rejects.toMatchObject({
      name: "ArgumentRangeError",
      message: "guided_json: /nope: this keyword is not supported",
    });
    const long = Array.from({ length: 40_000 }, () => 5);
    const failure = await llm.generate(long).started.then(
      () => undefined,
      (error: unknown) => error,
    );
    const caught = await engine.generate(long, {}).started.then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(caught).toBeInstanceOf((failure as Error).constructor);
    expect(caught).toMatchObject({ ...(failure as object), message: (failure as Error).message });
    const uncloneable = { logitBias: { 1: (() => 1) as unknown as number } };
    await expect(engine.generate("a", uncloneable).started).rejects.toMatchObject({
      code: "ERR_ARGUMENT_TYPE",
    });
    await expect(startEngine("models/nope/x", options)).rejects.toMatchObject({ name: "CheckpointError" });
    await expect(startEngine(model, { ...options, maxRestarts: -1 })).rejects.toThrow(/maxRestarts/);
  });

  it("ends a call that is aborted, before and after it has begun", async () => {
    const asked = { maxTokens: 400, ignoreEos: true };
    const stopping = new AbortController();
    const stream = engine.generate("a", { ...asked, signal: stopping.signal });
    for await (const _ of stream) stopping.abort();
    expect(await stream.result()).toMatchObject({ finishReason: "abort" });
    const never = engine.generate("a", { ...asked, n: 2, signal: AbortSignal.abort() });
    expect((await never.result()).choices.map(({ finishReason }) => finishReason)).toEqual([
      "abort",
      "abort",
    ]);
    for await (const _ of engine.generate("a", asked)) break; // who leaves the loop aborts
    await expect.poll(async () => (await engine.stats()).running).toBe(0);
    expect((await engine.stats()).usedPages).toBe(llm.stats().usedPages);
  });
});

it("answers nothing when it is closed", async () => {
  const engine = await startEngine(model, options);
  const open = engine.generate("a", { maxTokens: 500, ignoreEos: true });
  await open.started;
  await Promise.all([engine.close(), engine.close()]);
  expect(await open.result()).toMatchObject({ finishReason: "abort" }); // as where LLM closes
  await expect(engine.generate("a", {}).started).rejects.toMatchObject({ code: "ERR_CLOSED" });
  await expect(engine.encode("a", {})).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect((await engine.stats()).state).toBe("closed");
});

describe("behind a server", () => {
  let engine: ChildEngine;
  let server: Server;
  const exits: Error[] = [];
  const pids = (): number[] => {
    const all = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], { encoding: "utf8" });
    return [...all.matchAll(/^ *(\d+) .*server\/child\/main/gm)].map(([, pid]) => Number(pid));
  };
  const kill = (): void => void process.kill(pids()[0]!, "SIGKILL");
  beforeAll(async () => {
    engine = await startEngine(model, { ...options, maxRestarts: 2, onExit: (error) => exits.push(error) });
    server = await serve({ tiny: engine }, { port: 0, logger: false });
  });
  afterAll(async () => {
    await server.close({ drainMs: 0 });
    await engine.close();
  });
  const ask = (length: number) =>
    fetch(
      `${server.url}/v1/chat/completions`,
      postOf({ model: "tiny", messages, max_tokens: length, ignore_eos: true }),
    );

  it("gives a stream a typed error when its process is killed, and the next request an answer", async () => {
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: "unused", maxRetries: 0 });
    const asked = { model: "tiny", messages, max_tokens: 2000, ignore_eos: true, stream: true as const };
    const stream = await client.chat.completions.create(asked);
    const chunks = stream[Symbol.asyncIterator]();
    await chunks.next();
    const whole = ask(2000);
    kill();
    const read = async () => {
      for (let next = await chunks.next(); !next.done; next = await chunks.next());
    };
    await expect(read()).rejects.toMatchObject({ error: { code: "unavailable" } });
    expect(await errorOf(await whole)).toMatchObject({ status: 503, error: { code: "unavailable" } });
    expect((await fetch(`${server.url}/health`)).status).toBe(200);
    expect((await fetch(`${server.url}/ready`)).status).toBe(503);
    const next = await ask(3); // waits for the new process
    expect(next.status).toBe(200);
    await next.text();
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    expect(exits).toMatchObject([
      { code: "ERR_ENGINE_EXIT", message: expect.stringContaining("SIGKILL") as string },
    ]);
    expect(engine.restarts).toBe(1);
  });

  it("is dead when it has ended too often", async () => {
    kill();
    await expect.poll(() => engine.restarts, { timeout: 20_000 }).toBe(2);
    expect((await ask(3)).status).toBe(200);
    kill();
    expect(await errorOf(await ask(3))).toMatchObject({ status: 503 });
    expect((await fetch(`${server.url}/health`)).status).toBe(503);
    expect(pids()).toEqual([]);
  });
});
