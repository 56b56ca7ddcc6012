// Contract: bad options and prompts give a typed error with a code that names the option, at once where no tokenizing is
// needed; the pool stays whole and what runs is not touched.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import type { Prompt } from "../../lib/llm/prompt.js";
import type { ChatOptions } from "../../lib/llm/chatOptions.js";
import { generate } from "../../lib/llm/generate.js";
import type { LLM } from "../../lib/llm/llm.js";
import { native } from "../../lib/device/native.js";
import { goldenFolder, loadLLM, modelFolder, textGolden } from "./checkpoints.js";

const range = { name: "ArgumentRangeError", code: "ERR_ARGUMENT_RANGE" };
const type = { name: "ArgumentTypeError", code: "ERR_ARGUMENT_TYPE" };
const unknown = { name: "ArgumentTypeError", code: "ERR_UNKNOWN_OPTION" };
const text = { name: "TextError", code: "ERR_TOKENIZER" };

interface BadOption {
  readonly option: string;
  readonly value: unknown;
  readonly error?: { readonly name: string; readonly code: string };
  /** What the message must contain; default `option`. */
  readonly says?: string;
}

const wrongNumbers = (option: string, ...values: unknown[]): BadOption[] =>
  [NaN, Infinity, ...values].map((value) => ({ option, value }));
const wrongTypes = (option: string, ...values: unknown[]): BadOption[] =>
  values.map((value) => ({ option, value, error: type }));

const badGenerate: readonly BadOption[] = [
  { option: "maxToken", value: 5, error: unknown, says: 'did you mean "maxTokens"?' },
  { option: "temprature", value: 5, error: unknown, says: 'did you mean "temperature"?' },
  { option: "top_k", value: 5, error: unknown, says: 'did you mean "topK"?' },
  { option: "beams", value: 5, error: unknown, says: "known are maxTokens" },
  { option: "max_tokens", value: 5, error: unknown },
  { option: "temp", value: 5, error: unknown, says: 'did you mean "temperature"?' },
  { option: "abortSignal", value: 5, error: unknown, says: 'did you mean "signal"?' },
  { option: "stopSequences", value: ["x"], error: unknown, says: 'did you mean "stop"?' },
  ...wrongNumbers("maxTokens", 0, -1, 1.5, 2 ** 31),
  ...wrongTypes("maxTokens", "5", null, 5n, {}),
  ...wrongNumbers("minTokens", -1, 0.5, 11),
  ...wrongNumbers("temperature", -0.1, 101),
  ...wrongTypes("temperature", "hot", null, true),
  { option: "topK", value: -2, says: "topK: expected an integer from 0 to 2147483647, or -1, got -2" },
  ...wrongNumbers("topK", 2.5, 2 ** 31),
  ...wrongNumbers("topP", -0.1, 1.1),
  ...wrongNumbers("minP", -0.1, 1.1),
  ...wrongNumbers("repetitionPenalty", 0, -1),
  ...wrongNumbers("presencePenalty", -101),
  ...wrongNumbers("frequencyPenalty", 101),
  ...wrongNumbers("seed", -1, 0.5, 2 ** 53),
  ...wrongTypes("seed", 5n),
  ...wrongNumbers("n", 0, 257, 1.5),
  ...wrongNumbers("logprobs", -1, 101, 0.5),
  ...wrongNumbers("promptLogprobs", -1, 101),
  { option: "logitBias", value: { 1024: 1 }, says: "logitBias[1024]" },
  { option: "logitBias", value: { "-1": 1 }, says: "logitBias[-1]" },
  { option: "logitBias", value: { "05": 1 }, says: "logitBias[05]" },
  { option: "logitBias", value: { hello: 1 }, says: "logitBias[hello]" },
  { option: "logitBias", value: { 5: NaN }, says: "logitBias[5]" },
  { option: "logitBias", value: { 5: "1" }, error: type, says: "logitBias[5]" },
  ...wrongTypes("logitBias", [1, 2], new Map([[1, 2]]), 5, null),
  ...wrongTypes("stop", "", 5, ["ok", ""], [null], null),
  { option: "stop", value: ["ok", 5], error: type, says: "stop[1]" },
  {
    option: "stop",
    value: 5,
    error: type,
    says: "stop: expected a string that is not empty, or a list of such, got",
  },
  { option: "stop", value: null, error: type, says: "or a list of such, got null" },
  { option: "stop", value: "", error: type, says: "stop: expected a string that is not empty, or a list" },
  { option: "stopTokenIds", value: [1024], says: "stopTokenIds[0]" },
  { option: "stopTokenIds", value: [5, -1], says: "stopTokenIds[1]" },
  { option: "stopTokenIds", value: ["5"], says: "stopTokenIds[0]" },
  ...wrongTypes("stopTokenIds", 5, "5"),
  ...wrongTypes("includeStop", 1, "yes"),
  ...wrongTypes("ignoreEos", null),
  ...wrongTypes("skipSpecialTokens", 0),
  ...wrongTypes("cacheSalt", 5, null, {}),
  ...wrongTypes("signal", {}, null, new AbortController()),
];

const badPrompts: readonly { readonly prompt: unknown; readonly error: object; readonly says: string }[] = [
  { prompt: undefined, error: type, says: "expected a text or token ids, got undefined" },
  { prompt: null, error: type, says: "prompt" },
  { prompt: 5, error: type, says: "prompt" },
  { prompt: { 0: 1 }, error: type, says: "prompt" },
  { prompt: Float32Array.of(1), error: type, says: "prompt" },
  { prompt: [1, 1024], error: range, says: "prompt[1]" },
  { prompt: [-1], error: range, says: "prompt[0]" },
  { prompt: [1, 2, NaN], error: range, says: "prompt[2]" },
  { prompt: [0.5], error: range, says: "prompt[0]" },
  { prompt: ["a"], error: type, says: "generateAll takes many prompts" },
  { prompt: [[1, 2], [3]], error: type, says: "generateAll takes many prompts" },
  { prompt: [{ role: "user", content: "x" }], error: type, says: "chat takes messages" },
  {
    prompt: Buffer.from("Once"),
    error: type,
    says: "expected a text or token ids, got an object of class Buffer; decode",
  },
  { prompt: [5, , 6], error: range, says: "prompt[1]" },
  { prompt: Int32Array.of(-5), error: range, says: "prompt[0]" },
  { prompt: "", error: range, says: "prompt: expected at least one token, got none; give some text" },
  { prompt: [], error: range, says: "prompt" },
  { prompt: new Int32Array(), error: range, says: "prompt" },
  {
    prompt: new Array(2048).fill(1),
    error: { ...range, code: "ERR_CONTEXT_LENGTH" },
    says: "prompt: got 2048 tokens, the context 2048",
  },
  { prompt: "word ".repeat(5000), error: { ...range, code: "ERR_CONTEXT_LENGTH" }, says: "the context 2048" },
];

let llm: LLM;
let running: ReturnType<LLM["generate"]>;
const story = textGolden("tiny-draft", "fox named Wren lived near");
const maxTokens = 1500;

beforeAll(async () => {
  llm = await loadLLM(modelFolder("tiny-draft"), { dtype: "f32", maxSequences: 2 });
  running = llm.generate(story.prompt, { maxTokens, ignoreEos: true });
  await running.started;
});
afterAll(async () => {
  const { tokenIds } = await running.result(); // what was refused beside it has not touched it
  expect(tokenIds.slice(0, story.greedy_ids.length)).toEqual(story.greedy_ids);
  expect(tokenIds).toHaveLength(maxTokens);
  llm.checkIntegrity();
  await llm.close();
});

/** The error of a call that throws at once, or of a stream or promise that rejects. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    const value = call();
    await (typeof value === "object" && value !== null && "result" in value
      ? (value as { result(): Promise<unknown> }).result()
      : value);
  } catch (error) {
    return error;
  }
  throw new Error("no error");
}

const saying = (error: object, says: string) => ({
  ...error,
  message: expect.stringContaining(says) as string,
});

describe("options of generate", () => {
  it.each(badGenerate)("$option: $value", ({ option, value, error = range, says = option }) => {
    const options = { maxTokens: 10, [option]: value } as GenerateOptions;
    const expected = expect.objectContaining(saying(error, says)) as Error;
    expect(() => llm.generate("Once", options)).toThrow(expected); // at once
    expect(() => llm.chat([{ role: "user", content: "x" }], options)).toThrow(expected);
    llm.checkIntegrity();
  });

  it.each([null, 5, "fast", [1]])("%j instead of options", async (options) => {
    for (const call of [
      () => llm.generate("Once", options as GenerateOptions),
      () => llm.chat([{ role: "user", content: "x" }], options as ChatOptions),
      () => llm.generateAll(["Once"], options as GenerateOptions),
      () => llm.close(options as object),
    ]) {
      expect(await errorOf(call)).toMatchObject(saying(type, "options"));
    }
  });
});

describe("an unknown option is refused by the function that was called, with its own options", () => {
  const user = [{ role: "user", content: "x" }];
  it.each([
    {
      name: "generate",
      option: "stops",
      likely: "stop",
      call: (options: object) => llm.generate("Once", options),
    },
    { name: "chat", option: "tool", likely: "tools", call: (options: object) => llm.chat(user, options) },
    {
      name: "chat",
      option: "template_options",
      likely: "templateOptions",
      call: (options: object) => llm.chat(user, options),
    },
    {
      name: "generateAll",
      option: "onerror",
      likely: "onError",
      call: (options: object) => llm.generateAll(["Once"], options),
    },
    {
      name: "generateAll",
      option: "progres",
      likely: "progress",
      call: (options: object) => llm.generateAll(["Once"], options),
    },
    {
      name: "generate",
      option: "loads",
      likely: "load",
      call: (options: object) => generate(modelFolder("tiny-draft"), "Once", options).next(),
    },
  ])("$name: $option", async ({ name, option, likely, call }) => {
    const message = `${name}: unknown option "${option}"; did you mean "${likely}"?`;
    expect(await errorOf(() => call({ [option]: 1 }))).toMatchObject({ ...unknown, message });
    const { message: all } = (await errorOf(() => call({ zzzzzz: 1 }))) as Error;
    expect(all).toContain(`${name}: unknown option "zzzzzz"; known are `);
    expect(all).toMatch(new RegExp(`\\b${likely}\\b`));
  });
});

describe("prompts", () => {
  it.each(badPrompts)("$prompt", async ({ prompt, error, says }) => {
    const expected = saying(error, says);
    expect(await errorOf(() => llm.generate(prompt as Prompt, { n: 2 }))).toMatchObject(expected);
    llm.checkIntegrity();
    expect(
      await errorOf(() => llm.generateAll(["fine", prompt as Prompt], { maxTokens: 500 })),
    ).toMatchObject({
      name: "GenerateAllError",
      index: 1,
      message: expect.stringMatching(/^prompts\[1\](\[\d\])?: (?!prompt|request)/) as string,
      cause: expected,
    });
    expect(llm.stats()).toMatchObject({ running: 1, waiting: 0 }); // "fine" was ended with it
    llm.checkIntegrity();
  });

  it.each([{ ids: [] }, { ids: [1024] }, { ids: "text" }, { ids: new Array(2048).fill(1) }])(
    "logits of $ids",
    async ({ ids }) => {
      const error = await errorOf(() => llm.logits(ids as number[]));
      expect((error as { code: string }).code).toMatch(/^ERR_(ARGUMENT|CONTEXT)/);
      llm.checkIntegrity();
    },
  );
});

describe("chats", () => {
  const message = { role: "user", content: "x" };

  it.each([
    { messages: [], error: range, says: "messages" },
    { messages: "hi", error: type, says: "messages" },
    { messages: [{ role: "user" }], error: type, says: "messages[0].content" },
    {
      messages: [message, { role: "user", contnet: "x" }],
      error: type,
      says: 'messages[1].content: expected a string, a list of parts, or null, got undefined; did you mean "content" by "contnet"?',
    },
    { messages: [message, { role: 5, content: "x" }], error: type, says: "messages[1].role" },
    { messages: [null], error: type, says: "messages[0]" },
    { messages: [message], options: { tools: {} }, error: type, says: "tools" },
    { messages: [message], options: { templateOptions: 5 }, error: type, says: "templateOptions" },
    {
      messages: [message],
      options: { templateOptions: { addGenerationPrompt: 1 } },
      error: type,
      says: "addGen",
    },
    { messages: [message], options: { toolz: [] }, error: unknown, says: "toolz" },
  ])("$messages $options", async ({ messages, options, error, says }) => {
    const call = () => llm.chat(messages as [], options as ChatOptions);
    expect(await errorOf(call)).toMatchObject(saying(error, says));
    llm.checkIntegrity();
  });
});

it.each([{ drainMs: -1 }, { drainMs: NaN }, { drainMs: "5" }, { drainMs: Infinity }, { drain: 5 }])(
  "close(%j)",
  async (options) => {
    expect(await errorOf(() => llm.close(options as { drainMs: number }))).toMatchObject({
      message: expect.stringContaining("drain") as string,
    });
    expect(llm.stats().state).toBe("running");
  },
);

it("progress of generateAll", async () => {
  const options = { progress: "yes" as unknown as boolean };
  expect(await errorOf(() => llm.generateAll(["Once"], options))).toMatchObject(saying(type, "progress"));
});

describe("a checkpoint without a tokenizer", () => {
  it("takes and gives token ids only", async () => {
    await using tiny = await loadLLM(goldenFolder("qwen3"));
    for (const call of [() => tiny.generate("Once"), () => tiny.generate([1], { stop: "x" })]) {
      expect(await errorOf(call)).toMatchObject(text);
    }
    expect(await errorOf(() => tiny.generateAll([[1], "Once"]))).toMatchObject({ index: 1, cause: text });
    const chat = () => tiny.chat([{ role: "user", content: "x" }]);
    expect(await errorOf(chat)).toMatchObject({ name: "TextError", code: "ERR_CHAT_TEMPLATE" });
    const result = await tiny.generate([1], { maxTokens: 3, logprobs: 1, stop: [] }).result();
    expect(result).toMatchObject({ text: "", logprobs: { length: 3 } });
    expect(result.logprobs![0]!.text).toBeUndefined();
    tiny.checkIntegrity();
  });
});

describe("options of LLM.load", () => {
  const cases: readonly BadOption[] = [
    { option: "thread", value: 5, error: unknown, says: 'did you mean "threads"?' },
    { option: "device", value: "gpu" },
    { option: "device", value: 5 },
    { option: "device", value: "cuda:99", error: { name: "DeviceError", code: "ERR_DEVICE" }, says: "cuda" },
    ...wrongNumbers("threads", 0, -1, 1.5, 2000),
    ...wrongTypes("threads", "2", null),
    { option: "dtype", value: "int8" },
    ...wrongNumbers("contextLength", 0, 1, -5, 1e6),
    ...wrongNumbers("maxSequences", 0, 5000),
    ...wrongNumbers("maxStepTokens", 0, 31),
    ...wrongNumbers("kvCacheBytes", 0, -1, 2 ** 60),
    { option: "kvCacheBytes", value: 1000, error: { name: "CapacityError", code: "ERR_CAPACITY" } },
    ...wrongNumbers("pageSize", 0, 1025),
    { option: "admission", value: "eager" },
    ...wrongTypes("prefixCache", 1),
    ...wrongTypes("graphs", "no"),
    ...wrongNumbers("stepTimeoutMs", 0, 999),
    ...wrongTypes("revision", 5),
    { option: "revision", value: "main", error: type },
    ...wrongTypes("onProgress", {}, "yes"),
    ...wrongTypes("signal", {}),
  ];

  it.each(cases)("$option: $value", async ({ option, value, error = range, says = option }) => {
    const before = native.liveHandles();
    const load = () => loadLLM(goldenFolder("qwen3"), { [option]: value });
    expect(await errorOf(load)).toMatchObject(saying(error, says));
    expect(native.liveHandles()).toEqual(before);
  });

  it("a pool of two tokens is enough, and one of less is refused by name", async () => {
    const pageBytes = 2 * 2 * (64 + 64) * 4; // layers, heads, keys and values, f32
    const options = { dtype: "f32", pageSize: 1 } as const;
    const less = () => loadLLM(goldenFolder("qwen3"), { ...options, kvCacheBytes: 2 * pageBytes });
    expect(await errorOf(less)).toMatchObject({ code: "ERR_CAPACITY" });
    await using tiny = await loadLLM(goldenFolder("qwen3"), { ...options, kvCacheBytes: 3 * pageBytes });
    expect(tiny.stats().contextLength).toBe(2);
    expect((await tiny.generate([1]).result()).tokenIds).toHaveLength(1);
  });

  it("a context length that was given and does not fit is refused with what it needs, and fits in that", async () => {
    const options = { dtype: "f32", contextLength: 40 } as const;
    const load = (kvCacheBytes: number) => loadLLM(goldenFolder("qwen3"), { ...options, kvCacheBytes });
    const { code, message } = (await errorOf(() => load(80_000))) as { code: string; message: string };
    expect({ code, message }).toEqual({
      code: "ERR_CAPACITY",
      message: expect.stringMatching(
        /^contextLength: 40 tokens need \d+ bytes .*kvCacheBytes gives 80000, which hold 16;/,
      ),
    });
    const needed = Number(/need (\d+) bytes/.exec(message)![1]);
    expect(await errorOf(() => load(needed - 1))).toMatchObject({ code: "ERR_CAPACITY" });
    await using exact = await load(needed);
    expect(exact.stats().contextLength).toBe(40);
    expect((await exact.generate(Array.from({ length: 39 }, () => 1)).result()).tokenIds).toHaveLength(1);
  });
});
