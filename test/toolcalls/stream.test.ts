// Contract: a loaded model says its format, its prompt as text and as tokens, and its generations are read as events.
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ArgumentRangeError,
  ArgumentTypeError,
  type GenerationStream,
  LLM,
  TextError,
} from "../../lib/index.js";
import { families, reasonings } from "../../toolcalls/families.js";
import { formatOf, parseStream, toolFormatNames } from "../../toolcalls/format.js";
import { endsInReasoning } from "../../toolcalls/outputReader.js";
import { plainHistory } from "../../toolcalls/history.js";
import { tools } from "./sample.js";
import { join } from "./parse.js";

let llm: LLM;
beforeAll(async () => {
  llm = await LLM.load("models/tiny-moe", { device: "cpu", contextLength: 512 });
});
afterAll(() => llm.close());

const messages = [{ role: "user", content: "Hello <|im_end|>!" }];

test("the prompt of a chat as text and as tokens", async () => {
  const text = "<|im_start|>user\nHello <|im_end|>!<|im_end|>\n<|im_start|>assistant\n";
  expect(await llm.renderChat(messages)).toBe(text);
  const stream = llm.chat(messages, { maxTokens: 1, parseSpecial: true });
  const ids = Array.from(await stream.promptTokenIds());
  expect(ids).toEqual(Array.from(llm.tokenizer!.encode(text, { addSpecialTokens: false })));
  const { usage } = await stream.result();
  expect(usage.promptTokens).toBe(ids.length);
});

test("errors of renderChat, and tokens of a prompt that fails", async () => {
  await expect(llm.renderChat([])).rejects.toThrow(ArgumentRangeError);
  await expect(llm.renderChat(messages, { tools: [{}] })).rejects.toThrow(TextError);
  await expect(llm.renderChat(messages, { temperature: 1 } as never)).rejects.toThrow(ArgumentTypeError);
  const long = llm.generate("word ".repeat(1000), {});
  await expect(long.promptTokenIds()).rejects.toThrow(ArgumentRangeError);
  const aborted = llm.generate("word", { signal: AbortSignal.abort() });
  expect(Array.from(await aborted.promptTokenIds())).toEqual([]);
});

test("the format of a model that knows no tools, and of one that is named", async () => {
  const format = await formatOf(llm);
  expect(format).toEqual({
    ...{ syntax: undefined, reasoning: undefined },
    ...{ history: plainHistory, takesTools: false },
  });
  const named = await formatOf(llm, { tools: "qwen3", reasoning: "think" });
  expect([named.syntax, named.reasoning]).toEqual([families[0], reasonings[0]]);
  await expect(formatOf(llm, { tools: "hermess" })).rejects.toThrow(
    `formatOf: tools: expected null or one of ${toolFormatNames.join(", ")}, got "hermess"`,
  );
  await expect(formatOf(llm, { reasoning: "" })).rejects.toThrow(ArgumentRangeError);
});

test("a generation is read as its answer, each continuation for itself", async () => {
  const format = await formatOf(llm, { tools: "hermes", reasoning: "think" });
  const options = { maxTokens: 40, temperature: 1, seed: 3, n: 2 };
  const stream = llm.chat(messages, { ...options, skipSpecialTokens: false });
  const events = [[], []] as Parameters<typeof join>[0][][];
  for await (const one of parseStream(stream, format, { tools, tokenizer: llm.tokenizer! }))
    events[one.chunk.index]!.push(...(one.events as never[]));
  const { choices } = await llm.chat(messages, options).result();
  expect(events.map((list) => join(list as never).content)).toEqual(choices.map(({ text }) => text));
});

test("thoughts that the prompt opens", async () => {
  const format = await formatOf(llm, { reasoning: "think" });
  const prompt = "Question<think>\n";
  expect(
    [prompt, `${prompt}</think>\n`, "<think> is a tag"].map((text) =>
      endsInReasoning(text, format.reasoning),
    ),
  ).toEqual([true, false, false]);
  const chunk = { index: 0, tokenIds: [], finishReason: null } as const;
  const end = {
    ...chunk,
    finishReason: "stop",
    stopReason: null,
    usage: { promptTokens: 1, completionTokens: 1, cachedTokens: 0 },
  } as const;
  const stream = {
    promptTokenIds: () => Promise.resolve(llm.tokenizer!.encode(prompt)),
    async *[Symbol.asyncIterator]() {
      yield await Promise.resolve({ ...chunk, text: "hm</think>" });
      yield { ...end, text: "yes" };
    },
  } as unknown as GenerationStream;
  const events: unknown[] = [];
  for await (const one of parseStream(stream, format, { tools: [], tokenizer: llm.tokenizer! }))
    events.push(...one.events);
  expect(events).toEqual([
    { type: "reasoning", text: "hm" },
    { type: "content", text: "yes" },
  ]);
});
