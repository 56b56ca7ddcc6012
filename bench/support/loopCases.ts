/**
 * What a user may hand to one process that could keep its event loop from turning: texts of every kind and length, bursts,
 * many choices, many stop strings, much bias, and the loading of real tokenizers. Each case is one piece of work; how it
 * ends (a result, a refusal) does not matter to the bench.
 */
import { fileURLToPath } from "node:url";
import type { GenerateOptions } from "../../lib/index.js";
import { LLM } from "../../lib/index.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { pieceTokenizer } from "./pieceTokenizers.js";
import { randomCheckpoint } from "./randomCheckpoint.js";
import { randomIds } from "./randomValues.js";
import { realTokenizer } from "./realTokenizers.js";
import { wideVocabularyModel } from "./wideVocabulary.js";

export interface LoopCase {
  readonly name: string;
  /** Longest block that is wanted, in milliseconds. */
  readonly targetMs: number;
  /** What is not part of the measurement. */
  readonly prepare: () => Promise<Work>;
}

interface Work extends AsyncDisposable {
  readonly run: () => Promise<unknown>;
}

const requestMs = 10;
const loadMs = 50;
export const tinyMoe = fileURLToPath(new URL("../../models/tiny-moe", import.meta.url));

/** The kinds of text of which a tokenizer makes the longest words, and prose. @param length in UTF-16 units */
const texts: Readonly<Record<string, (length: number) => string>> = {
  "one letter": (length) => "a".repeat(length),
  "random letters": (length) => letters(length, 26),
  "letters and digits": (length) => letters(length, 36),
  emoji: (length) => "😀".repeat(length / 2),
  spaces: (length) => " ".repeat(length),
  newlines: (length) => "\n".repeat(length),
  punctuation: (length) => "!".repeat(length),
  "half surrogates": (length) => "\ud800".repeat(length),
  Chinese: (length) => "漢".repeat(length),
  prose: (length) => "the cat sat on the mat. ".repeat(length / 24),
};

function letters(length: number, base: number): string {
  let text = "";
  for (let x = 1; text.length < length; x = (x * 48271) % 2147483647) {
    text += [...x.toString(36)].filter((char) => base === 36 || char > "9").join("");
  }
  return text.slice(0, length);
}

export const loopCases: readonly LoopCase[] = [
  ...Object.keys(texts).map((kind) => textCase(kind, 1_000_000, 256)),
  ...["one letter", "letters and digits", "spaces", "prose"].flatMap((kind) => [
    textCase(kind, 10_000, 2048),
    textCase(kind, 100_000, 2048),
    textCase(kind, 1_000_000, 2048),
  ]),
  textCase("random letters", 5_000_000, 2048),
  requestCase("500 texts of 500 characters in one turn", 2048, (llm) => {
    const text = texts["letters and digits"]!(500).replace(/\d+/g, " ");
    return all(500, (i) => llm.generate(`${i} ${text}`, { maxTokens: 1 }));
  }),
  requestCase("500 prompts of 1000 ids in one turn", 2048, (llm) => {
    const prompts = Array.from({ length: 500 }, (_, i) => randomIds(i, 1000, llm.shape.vocabSize));
    return all(500, (i) => llm.generate(prompts[i]!, { maxTokens: 1 }));
  }),
  requestCase("n = 256 of a prompt of 2000 ids", 2048, (llm) => {
    const prompt = randomIds(1, 2000, llm.shape.vocabSize);
    return all(1, () => llm.generate(prompt, { n: 256, maxTokens: 1 }));
  }),
  requestCase("100,000 stop strings", 2048, (llm) => {
    const stop = Array.from({ length: 100_000 }, (_, i) => `stop ${i} here`);
    return all(1, () => llm.generate("Hello", { stop, maxTokens: 50, ignoreEos: true }));
  }),
  requestCase("100,000 stop strings, n = 64", 2048, (llm) => {
    const stop = Array.from({ length: 100_000 }, (_, i) => `stop ${i} here`);
    return all(1, () => llm.generate("Hello", { stop, n: 64, maxTokens: 10, ignoreEos: true }));
  }),
  requestCase("bias of 1000 tokens, 64 requests", 2048, (llm) => {
    const logitBias = Object.fromEntries(Array.from({ length: 1000 }, (_, id) => [id, id / 1000]));
    return all(64, () => llm.generate("Hello", { logitBias, maxTokens: 10, ignoreEos: true }));
  }),
  requestCase("chat of 10,000 messages", 2048, (llm) => {
    const content = (i: number): string => `${i} ${texts["prose"]!(240)}`;
    const role = (i: number): string => (i % 2 === 0 ? "user" : "assistant");
    const messages = Array.from({ length: 10_000 }, (_, i) => ({ role: role(i), content: content(i) }));
    return all(1, () => llm.chat(messages, { maxTokens: 1 }));
  }),
  requestCase("chat of 10,000 messages with parts and tool calls", 2048, (llm) => {
    const messages = Array.from({ length: 10_000 }, (_, i) => ({
      role: i % 2 === 0 ? "user" : "assistant",
      content: [{ type: "text", text: `${i} ${texts["prose"]!(120)}` }],
      tool_calls: [{ id: `${i}`, type: "function", function: { name: "find", arguments: { what: i } } }],
    }));
    return all(1, () => llm.chat(messages, { maxTokens: 1 }));
  }),
  requestCase(
    "100 schemas, 151,936 tokens",
    512,
    (llm) =>
      all(100, (i) => {
        const names = Array.from({ length: 20 }, (_, property) => `field_${i}_${property}`);
        const properties = Object.fromEntries(names.map((name) => [name, { type: "string", maxLength: 40 }]));
        return llm.generate("Hello", { format: { schema: { properties, required: names } }, maxTokens: 8 });
      }),
    wideVocabularyModel(),
  ),
  requestCase(
    "128 sequences of a schema, 151,936 tokens",
    512,
    (llm) =>
      all(128, (i) => {
        const schema = { type: "array", items: { properties: { name: { type: "string" } } }, minItems: 99 };
        return llm.generate("Hello", { format: { schema }, temperature: 1, seed: i, maxTokens: 12 });
      }),
    wideVocabularyModel(),
  ),
  tokenizerCase("the llama3 tokenizer", realTokenizer("llama3")),
  tokenizerCase("the o200k tokenizer", realTokenizer("o200k")),
  tokenizerCase("250,000 pieces, Unigram", pieceTokenizer("Unigram")),
  tokenizerCase("250,000 pieces, WordPiece", pieceTokenizer("WordPiece")),
  {
    name: "load four layers of the Qwen3-0.6B shape, 32,768 positions",
    targetMs: loadMs,
    prepare: () => {
      const folder = randomCheckpoint("qwen3-0.6b", { numLayers: 4, maxPositions: 32_768 });
      return work(async () => (await LLM.load(folder, { maxSequences: 8 })).close());
    },
  },
];

function textCase(kind: string, length: number, contextLength: number): LoopCase {
  const name = `${kind} x ${length.toLocaleString("en")}, context ${contextLength}`;
  return requestCase(name, contextLength, (llm) => {
    const text = texts[kind]!(length);
    return all(1, () => llm.generate(text, { maxTokens: 1 }));
  });
}

/** @param make what is prepared before the measurement starts, and returns what is measured */
function requestCase(
  name: string,
  contextLength: number,
  make: (llm: LLM) => Work["run"],
  folder = tinyMoe,
): LoopCase {
  const prepare = async (): Promise<Work> => {
    const llm = await LLM.load(folder, { contextLength, kvCacheBytes: 64 << 20 });
    await llm.generate("warm up", { maxTokens: 2 } satisfies GenerateOptions).result();
    return { run: make(llm), [Symbol.asyncDispose]: () => llm.close() };
  };
  return { name, targetMs: requestMs, prepare };
}

function tokenizerCase(name: string, folder: string): LoopCase {
  return {
    name: `load ${name}`,
    targetMs: loadMs,
    prepare: () => work(() => Tokenizer.load(folder)),
  };
}

function work(run: Work["run"]): Promise<Work> {
  return Promise.resolve({ run, [Symbol.asyncDispose]: () => Promise.resolve() });
}

/** Starts `count` generations in one turn and waits for all of them, however they end. */
function all(count: number, start: (i: number) => { result(): Promise<unknown> }): Work["run"] {
  return () => Promise.allSettled(Array.from({ length: count }, (_, i) => start(i).result()));
}
