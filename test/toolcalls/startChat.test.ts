// Contract: a chat with tools is what servers and providers need: tools and history in the template's form go in, events and blocks come
// out, of a model's own template and tokens.
import { describe, expect, test } from "vitest";
import type { ChatMessage, ChatOptions, GenerationStream } from "../../lib/index.js";
import { BlockReader, type ChatFormat, startChat, type StartChatOptions } from "../../toolcalls/index.js";
import { families, reasonings } from "../../toolcalls/families.js";
import { plainHistory } from "../../toolcalls/history.js";
import { tools } from "./sample.js";
import { ToyVocabulary } from "./vocabulary.js";

const vocabulary = new ToyVocabulary(["<tool_call>", "</tool_call>", "<think>", "</think>"], ["<|end|>"]);
const hermes: ChatFormat = {
  syntax: families.find(({ name }) => name === "hermes"),
  reasoning: reasonings[0],
  history: plainHistory,
  takesTools: true,
};
const call = (city: string): string =>
  `<tool_call>\n{"name": "get_weather", "arguments": {"city": "${city}"}}\n</tool_call>`;

/** A model that writes these texts, one for each continuation, and remembers what it was asked. */
class Writer {
  asked: { readonly messages: readonly ChatMessage[]; readonly options: ChatOptions } | undefined;
  readonly #texts: readonly string[];
  readonly #prompt: string;

  constructor(texts: readonly string[], prompt = "") {
    this.#texts = texts;
    this.#prompt = prompt;
  }

  chat(messages: readonly ChatMessage[], options: ChatOptions): GenerationStream {
    this.asked = { messages, options };
    const lists = this.#texts.map((text, index) => [
      ...vocabulary.chunks(text).map((chunk) => ({ ...chunk, index, finishReason: null })),
      { index, text: "", tokenIds: [], finishReason: "stop", stopReason: null },
    ]);
    const longest = Math.max(...lists.map((list) => list.length));
    const turns = Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1)));
    return {
      promptTokenIds: async () => vocabulary.chunks(this.#prompt).flatMap(({ tokenIds = [] }) => tokenIds),
      async *[Symbol.asyncIterator]() {
        yield* turns.flat();
      },
    } as unknown as GenerationStream;
  }
}

const question: ChatMessage = { role: "user", content: "How is the weather?" };

/** The blocks of each continuation, and the tokens of thoughts. */
async function answer(model: Writer, options: StartChatOptions = {}, format = hermes) {
  const chat = startChat({ model, format, vocabulary }, [question], options);
  const reader = await chat.reader();
  const blocks = new Map<number, BlockReader>();
  for await (const chunk of chat.stream) {
    const one = blocks.get(chunk.index) ?? new BlockReader();
    blocks.set(chunk.index, one);
    one.push(reader.read(chunk));
    if (chunk.finishReason !== null) one.finish();
  }
  return { all: [...blocks.values()].map((one) => one.blocks), reasoningTokens: reader.reasoningTokens };
}

const weather = (city: string) => ({
  ...{ type: "call", name: "get_weather", text: `{"city": "${city}"}`, complete: true },
  id: expect.stringMatching(/^call_\w{24}$/) as string,
});

describe("a chat with tools", () => {
  test("gives the blocks of each continuation", async () => {
    const model = new Writer([`<think>hm</think>I look.${call("Oslo")}${call("Bergen")}`, "None<|end|>"]);
    const { all, reasoningTokens } = await answer(model, { tools });
    expect(all).toEqual([
      [
        { type: "reasoning", text: "hm" },
        { type: "content", text: "I look." },
        weather("Oslo"),
        weather("Bergen"),
      ],
      [{ type: "content", text: "None" }],
    ]);
    expect(reasoningTokens).toBe("<hm".length); // the opening marker is one
  });

  test("without parallel calls hands the first one out", async () => {
    const model = new Writer([`${call("Oslo")}\n${call("Bergen")}`]);
    expect((await answer(model, { tools, parallelToolCalls: false })).all).toEqual([[weather("Oslo")]]);
  });

  test("tells the template of tools in one form, with parameters and without what it does not know", async () => {
    const model = new Writer([""]);
    const given = [
      { type: "function", function: { name: "f", strict: true } },
      { name: "g", parameters: {} },
    ];
    await answer(model, { tools: given, temperature: 0.5 });
    expect(model.asked!.options).toEqual({
      temperature: 0.5,
      format: expect.objectContaining({ rules: expect.any(Object) as object }) as object, // since one is strict
      skipSpecialTokens: false,
      tools: [
        { type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } },
        { type: "function", function: { name: "g", parameters: {} } },
      ],
    });
  });

  test("asks for no form where none is wanted and no tool is strict, and else for that which holds the model to it", async () => {
    const asked = async (options: StartChatOptions) => {
      const model = new Writer([""]);
      await answer(model, { tools: [{ name: "g" }], ...options });
      return model.asked!.options.format;
    };
    expect(await asked({})).toBeUndefined();
    expect(JSON.stringify(await asked({ toolChoice: "required" }))).toContain('"g\\"');
    expect(JSON.stringify(await asked({ format: { choice: ["yes"] } }))).toContain('"yes"');
    await expect(asked({ toolChoice: { name: "h" } })).rejects.toThrow("toolChoice: expected one of g, got");
  });

  test("begins in thoughts where the prompt ends in their marker", async () => {
    const model = new Writer(["hm</think>Yes"], "user<think>\n");
    expect((await answer(model)).all).toEqual([
      [
        { type: "reasoning", text: "hm" },
        { type: "content", text: "Yes" },
      ],
    ]);
  });

  test("leaves an answer without markup as it is", async () => {
    const plain = { ...hermes, reasoning: undefined };
    const model = new Writer([" <tool_call> \n<|end|>"]);
    expect((await answer(model, {}, plain)).all).toEqual([
      [{ type: "content", text: " <tool_call> \n<|end|>" }],
    ]);
    expect(model.asked!.options).toEqual({});
  });

  test("keeps special tokens that are no markers on request", async () => {
    const model = new Writer(["<think>a</think>b<|end|>"]);
    expect((await answer(model, { skipSpecialTokens: false })).all).toEqual([
      [
        { type: "reasoning", text: "a" },
        { type: "content", text: "b<|end|>" },
      ],
    ]);
  });

  test.each([
    [{ ...hermes, takesTools: false }, /^tools: the chat template/],
    [{ ...hermes, syntax: undefined }, /^tools: how this model writes calls is not known/],
  ])("is refused where the model cannot call: %#", (format, message) => {
    const begin = () => startChat({ model: new Writer([""]), format, vocabulary }, [question], { tools });
    expect(begin).toThrow(message);
  });
});

test("blocks start, go on and end one after another", () => {
  const reader = new BlockReader();
  const events = reader.push([
    { type: "content", text: "a" },
    { type: "callStart", index: 0, id: "x", name: "f" },
    { type: "arguments", index: 0, text: "{" },
    { type: "callEnd", index: 0, complete: false },
    { type: "content", text: "b" },
  ]);
  const cut = { type: "call", id: "x", name: "f", complete: false };
  expect([...events, ...reader.finish(), ...reader.finish()]).toEqual([
    { type: "start", index: 0, block: { type: "content", text: "" } },
    { type: "delta", index: 0, block: { type: "content", text: "a" }, text: "a" },
    { type: "end", index: 0, block: { type: "content", text: "a" } },
    { type: "start", index: 1, block: { ...cut, text: "" } },
    { type: "delta", index: 1, block: { ...cut, text: "{" }, text: "{" },
    { type: "end", index: 1, block: { ...cut, text: "{" } },
    { type: "start", index: 2, block: { type: "content", text: "" } },
    { type: "delta", index: 2, block: { type: "content", text: "b" }, text: "b" },
    { type: "end", index: 2, block: { type: "content", text: "b" } },
  ]);
});
