// Contract: through the public class, the text of a completion goes on where the text of its prompt ends, also with
// SentencePiece, whose decoder drops a first space; log probabilities name tokens as they stand inside a text.
import { expect, it } from "vitest";
import type { LLM } from "../../lib/llm/llm.js";
import { chain, writeChainCheckpoint } from "../support/chainCheckpoint.js";
import { sentencePieceJson } from "../text/tokenizerFiles.js";
import { withLLM } from "./checkpoints.js";

const words = [
  "▁",
  "t",
  "h",
  "e",
  "r",
  "w",
  "a",
  "s",
  "▁t",
  "he",
  "▁the",
  "re",
  "▁there",
  "wa",
  "▁wa",
  "▁was",
  "▁▁",
];
const merges = ["▁ t", "h e", "▁t he", "r e", "▁the re", "w a", "▁ wa", "▁wa s", "▁ ▁"];
const id = (word: string): number => 259 + words.indexOf(word);
const there = id("▁there");

async function withChain(ids: readonly number[], body: (llm: LLM) => Promise<void>): Promise<void> {
  const folder = await writeChainCheckpoint({
    vocabSize: 280,
    next: chain(there, [...ids, 2]),
    config: { eos_token_id: 2 },
    files: {
      "tokenizer.json": sentencePieceJson(words, merges),
      "tokenizer_config.json": { chat_template: "{{ messages[0]['content'] }}" },
    },
  });
  await withLLM(folder, {}, body);
}

it("the first space stays: text, ids and chat prompts, every choice", async () => {
  await withChain([id("▁was"), id("re")], async (llm) => {
    const whole = llm.tokenizer!.decode([1, there, id("▁was"), id("re")]);
    expect(whole).toBe("there wasre");
    const streams = [
      llm.generate("there"),
      llm.generate([1, there]),
      llm.generate([there]),
      llm.chat([{ role: "user", content: "there" }]),
      llm.generate("there", { n: 2 }),
    ];
    for (const stream of streams) {
      const { choices } = await stream.result();
      for (const { text } of choices) expect(`there${text}`).toBe(whole);
    }
  });
});

it("spaces of an indented line stay", async () => {
  await withChain([3 + 10, id("▁▁"), id("▁was")], async (llm) => {
    expect((await llm.generate("there").result()).text).toBe("\n   was");
  });
  await withChain([id("▁▁"), id("wa")], async (llm) => {
    expect((await llm.generate("there").result()).text).toBe("  wa");
  });
});

it("a stop string finds the first space", async () => {
  await withChain([id("▁was"), id("re")], async (llm) => {
    const result = await llm.generate("there", { stop: " was" }).result();
    expect(result).toMatchObject({ text: "", finishReason: "stop", stopReason: " was" });
  });
});

it("log probabilities name a token as it stands inside a text", async () => {
  await withChain([id("▁was"), id("wa")], async (llm) => {
    const options = { logprobs: 1, promptLogprobs: 1 };
    const { logprobs, promptLogprobs } = await llm.generate("there there", options).result();
    expect(logprobs!.map(({ text }) => text)).toEqual([" was", "wa", "</s>"]);
    expect(logprobs!.map(({ top }) => top[0]!.text)).toEqual([" was", "wa", "</s>"]);
    expect(promptLogprobs!.map((entry) => entry?.text)).toEqual([undefined, " there", " there"]);
  });
});
