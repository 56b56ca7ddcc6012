// Contract: the client that people use holds a conversation with a real model over a real port, as a stream and not, and finds in
// answers what OpenAI's have: usage, log probabilities, finish reasons, several choices, vectors.
import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { errorOf, TinyServer } from "./support.js";

let tiny: TinyServer;
let client: OpenAI;
beforeAll(async () => {
  tiny = await TinyServer.start();
  client = tiny.client();
});
afterAll(async () => {
  await tiny[Symbol.asyncDispose]();
});

const { model } = TinyServer;
const user = (content: string) => ({ role: "user" as const, content });

describe("chat", () => {
  it("goes on from answer to answer, and a stream says the same", async () => {
    const messages: OpenAI.ChatCompletionMessageParam[] = [user("Tell me about a fox.")];
    for (const next of ["And then?", "Why?"]) {
      const request = { model, messages, max_completion_tokens: 12, temperature: 0 };
      const whole = await client.chat.completions.create(request);
      const [choice] = whole.choices;
      expect(choice).toMatchObject({
        index: 0,
        message: { role: "assistant", refusal: null },
        logprobs: null,
      });
      expect(whole).toMatchObject({
        object: "chat.completion",
        model,
        id: expect.stringMatching(/^chatcmpl-/),
      });
      const stream = client.chat.completions.stream({ ...request, stream_options: { include_usage: true } });
      const streamed = await stream.finalChatCompletion();
      expect(streamed.choices[0]!.message.content).toBe(choice!.message.content);
      expect(streamed.choices[0]!.finish_reason).toBe(choice!.finish_reason);
      const { prompt_tokens, completion_tokens, total_tokens } = whole.usage!;
      expect(total_tokens).toBe(prompt_tokens + completion_tokens);
      expect(streamed.usage).toMatchObject({ prompt_tokens, completion_tokens, total_tokens });
      messages.push({ role: "assistant", content: choice!.message.content }, user(next));
    }
    const own = await tiny.llm.chat([user("Tell me about a fox.")], { maxTokens: 12 }).text();
    expect(messages[1]!.content).toBe(own);
  });

  it("has n choices, seeded, in chunks that name theirs", async () => {
    const request = { model, messages: [user("Hello")], n: 3, seed: 5, temperature: 1, max_tokens: 8 };
    const whole = await client.chat.completions.create(request);
    const texts = whole.choices.map(({ message }) => message.content);
    expect(new Set(texts).size).toBe(3);
    expect(whole.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices.map(({ message }) => message.content)).toEqual(texts);
  });

  it("has log probabilities, as a stream and not", async () => {
    const request = {
      model,
      messages: [user("Hello")],
      logprobs: true,
      top_logprobs: 2,
      max_tokens: 5,
      temperature: 0,
    };
    const [choice] = (await client.chat.completions.create(request)).choices;
    const content = choice!.logprobs!.content!;
    expect(content).toHaveLength(5);
    for (const { token, logprob, bytes, top_logprobs } of content) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(Buffer.from(bytes!).toString()).toBe(token);
      expect(top_logprobs).toHaveLength(2);
      expect(top_logprobs[0]).toMatchObject({ token, logprob }); // greedy
    }
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    expect(streamed.choices[0]!.logprobs!.content).toEqual(content);
  });

  it("ends at stop strings, at the length, and says why", async () => {
    const request = { model, messages: [user("Hello")], temperature: 0, max_tokens: 20 };
    const text = (await client.chat.completions.create(request)).choices[0]!.message.content!;
    const stop = text.slice(4, 8);
    const [choice] = (await client.chat.completions.create({ ...request, stop })).choices;
    expect(choice).toMatchObject({
      finish_reason: "stop",
      stop_reason: stop,
      message: { content: text.slice(0, text.indexOf(stop)) },
    });
    const [short] = (await client.chat.completions.create({ ...request, max_tokens: 2 })).choices;
    expect(short!.finish_reason).toBe("length");
  });

  it("refuses with errors that the client knows", async () => {
    const request = { model, messages: [user("Hello")] };
    await expect(client.chat.completions.create({ ...request, temperature: -1 })).rejects.toMatchObject({
      status: 400,
      param: "temperature",
      type: "invalid_request_error",
    });
    await expect(client.chat.completions.create({ ...request, model: "gpt-4o" })).rejects.toBeInstanceOf(
      OpenAI.NotFoundError,
    );
    const long = { ...request, messages: [user("fox ".repeat(4000))] };
    await expect(client.chat.completions.create({ ...long, stream: true })).rejects.toMatchObject({
      status: 400,
      param: "messages",
      code: "context_length_exceeded",
    });
    const variables = { ...request, chat_template_kwargs: { enable_thinking: false } };
    const refused = await errorOf(await tiny.post("/v1/chat/completions", variables));
    expect(refused.status).toBe(400);
    expect(refused.error.message).toMatch(
      /^chat_template_kwargs\.enable_thinking: tokenizer_config\.json: .*enable_thinking/,
    ); // which this template does not read
  });

  it("names fields, not options, where the engine refuses", async () => {
    const request = { model, messages: [user("Hello")] };
    const answers = [
      [
        { min_tokens: 9, max_tokens: 5 },
        "min_tokens",
        "min_tokens: expected at most max_tokens, which is 5, got 9",
      ],
      [{ top_logprobs: 2 }, "top_logprobs", "top_logprobs: needs logprobs: true"],
      [
        { stop_token_ids: [99999] },
        "stop_token_ids[0]",
        expect.stringMatching(/^stop_token_ids\[0\]: expected a token id/),
      ],
      [
        { logit_bias: { 99999: 1 } },
        "logit_bias[99999]",
        expect.stringMatching(/^logit_bias\[99999\]: expected/),
      ],
    ] as const;
    for (const [fields, param, message] of answers) {
      const answer = await errorOf(await tiny.post("/v1/chat/completions", { ...request, ...fields }));
      expect(answer).toMatchObject({ status: 400, error: { param, message } });
    }
  });
});

describe("completions", () => {
  const prompt = "Once upon a time";
  const request = { model, prompt, max_tokens: 6, temperature: 0 };

  it("continues a text, token ids and several of them, as a stream and not", async () => {
    const own = await tiny.llm.generate(prompt, { maxTokens: 6 }).text();
    const ids = [...tiny.llm.tokenizer!.encode(prompt)];
    for (const form of [prompt, ids, [prompt, prompt], [ids, ids]]) {
      const whole = await client.completions.create({ ...request, prompt: form });
      expect(new Set(whole.choices.map(({ text }) => text))).toEqual(new Set([own]));
      expect(whole.usage!.prompt_tokens).toBe(ids.length * whole.choices.length);
      const texts = whole.choices.map(() => "");
      for await (const { choices } of await client.completions.create({
        ...request,
        prompt: form,
        stream: true,
      }))
        for (const { index, text } of choices) texts[index] += text;
      expect(texts).toEqual(whole.choices.map(({ text }) => text));
    }
  });

  it("numbers the continuations of all prompts", async () => {
    const many = { ...request, prompt: ["A fox", "A badger"], n: 2, seed: 3, temperature: 1 };
    const { choices } = await client.completions.create(many);
    expect(choices.map(({ index }) => index)).toEqual([0, 1, 2, 3]);
    const alone = await client.completions.create({ ...many, prompt: "A badger" });
    expect(choices.slice(2).map(({ text }) => text)).toEqual(alone.choices.map(({ text }) => text));
  });

  it("echoes the prompt, with its log probabilities, and alone with max_tokens 0", async () => {
    const { choices } = await client.completions.create({ ...request, echo: true, logprobs: 1 });
    const { text, logprobs } = choices[0]!;
    const plain = (await client.completions.create(request)).choices[0]!.text;
    expect(text).toBe(prompt + plain);
    expect(logprobs!.tokens!.join("")).toBe(text);
    expect(logprobs!.token_logprobs![0]).toBeNull();
    expect(logprobs!.token_logprobs!.slice(1).every((one) => one <= 0)).toBe(true);
    expect(logprobs!.text_offset!.map((at) => text[at])).toEqual(logprobs!.tokens!.map((token) => token[0]));
    const scored = await client.completions.create({ ...request, max_tokens: 0, echo: true, logprobs: 1 });
    expect(scored.choices[0]!.text).toBe(prompt);
    expect(scored.choices[0]!.logprobs!.tokens!.join("")).toBe(prompt);
    expect(scored.usage!.completion_tokens).toBe(0);
    let streamed = "";
    for await (const chunk of await client.completions.create({ ...request, echo: true, stream: true }))
      streamed += chunk.choices[0]!.text;
    expect(streamed).toBe(text);
    await expect(
      client.completions.create({ ...request, echo: true, logprobs: 1, stream: true }),
    ).rejects.toMatchObject({ status: 400, param: "echo" });
    await expect(client.completions.create({ ...request, max_tokens: 0 })).rejects.toMatchObject({
      status: 400,
      param: "max_tokens",
    });
  });

  it("names what is wrong with a prompt", async () => {
    const bad = { ...request, prompt: [5, 99999] };
    await expect(client.completions.create(bad)).rejects.toMatchObject({ status: 400, param: "prompt[1]" });
    await expect(client.completions.create({ ...request, prompt: "" })).rejects.toMatchObject({
      status: 400,
      param: "prompt",
    });
  });
});

describe("the other routes", () => {
  it("embeddings: vectors of texts and token ids, as numbers and as bytes", async () => {
    const texts = ["A fox", "A badger"];
    const own = await tiny.llm.embed(texts);
    const { data, usage } = await client.embeddings.create({ model, input: texts }); // asks for base64
    expect(data.map(({ embedding }) => embedding)).toEqual(own.map((row) => [...row]));
    const ids = texts.map((text) => [...tiny.llm.tokenizer!.encode(text)]);
    expect(usage).toEqual({ prompt_tokens: ids.flat().length, total_tokens: ids.flat().length });
    const floats = await client.embeddings.create({ model, input: ids, encoding_format: "float" });
    expect(floats.data.map(({ embedding }) => Float32Array.from(embedding))).toEqual(own);
    const mean = await (
      await tiny.post("/v1/embeddings", { input: "A fox", pooling: "mean", dimensions: 3 })
    ).json();
    const [expected] = await tiny.llm.embed(["A fox"], { pooling: "mean", dimensions: 3 });
    expect(Float32Array.from((mean as { data: { embedding: number[] }[] }).data[0]!.embedding)).toEqual(
      expected,
    );
    await expect(client.embeddings.create({ model, input: ["x", ""] })).rejects.toMatchObject({
      status: 400,
      param: "input[1]",
    });
  });

  it("models", async () => {
    const { data } = await client.models.list();
    const row = { id: model, object: "model", owned_by: "warploop", max_model_len: 2048 };
    expect(data).toMatchObject([row]);
    expect(await client.models.retrieve(model)).toMatchObject(row);
    await expect(client.models.retrieve("other")).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  it("tokenize and detokenize are each other's inverse", async () => {
    const prompt = "A fox, <|im_end|> and a badger";
    const ids = await (await tiny.post("/tokenize", { model, prompt })).json();
    expect(ids).toEqual({
      tokens: [...tiny.llm.tokenizer!.encode(prompt)],
      count: expect.any(Number),
      max_model_len: 2048,
    });
    const { tokens, count } = ids as { tokens: number[]; count: number };
    expect(count).toBe(tokens.length);
    expect(await (await tiny.post("/detokenize", { tokens })).json()).toEqual({ prompt });
  });

  it("health and readiness", async () => {
    const answer = await fetch(`${tiny.url}/health`);
    expect([answer.status, await answer.json()]).toEqual([
      200,
      { status: "ok", models: { [model]: "running" } },
    ]);
    expect((await fetch(`${tiny.url}/ready`)).status).toBe(200);
  });
});
