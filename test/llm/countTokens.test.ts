// Contract: countTokens gives what a generation of the same text or chat says of its prompt, also of what no context holds.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ChatMessage, CountTokensOptions, LLM } from "../../lib/index.js";
import { goldenFolder, loadLLM, modelFolder } from "./checkpoints.js";

let llm: LLM;
beforeAll(async () => {
  llm = await loadLLM(modelFolder("tiny-moe"), { contextLength: 128 });
});
afterAll(() => llm.close());

const chat: readonly ChatMessage[] = [
  { role: "system", content: "You are terse." },
  { role: "user", content: "Who wrote <|im_start|>?" },
];

describe("countTokens", () => {
  it.each(["", "Once upon a time", "a 😀 and a half \ud83d"])("of the text %j", async (text) => {
    const count = await llm.countTokens(text);
    expect(count).toBe(llm.tokenizer!.encode(text).length);
    if (count > 0)
      expect((await llm.generate(text, { maxTokens: 1 }).result()).usage.promptTokens).toBe(count);
  });

  const variants: readonly CountTokensOptions[] = [{}, { parseSpecial: true }, { templateName: "default" }];
  it.each(variants)("of a chat with %o", async (options) => {
    const { usage } = await llm.chat(chat, { ...options, maxTokens: 1 }).result();
    expect(await llm.countTokens(chat, options)).toBe(usage.promptTokens);
  });

  it("tells special tokens from the same characters in what users write, as chat does", async () => {
    expect(await llm.countTokens(chat)).not.toBe(await llm.countTokens(chat, { parseSpecial: true }));
  });

  it("knows no limit", async () => {
    const text = "a word ".repeat(500);
    const count = await llm.countTokens(text);
    expect(count).toBe(llm.tokenizer!.encode(text).length);
    expect(count).toBeGreaterThan(llm.stats().contextLength);
    expect(await llm.countTokens([{ role: "user", content: text }])).toBeGreaterThan(count);
  });

  it("refuses options of a template for a text, and what has no tokenizer", async () => {
    await expect(llm.countTokens("text", { parseSpecial: true })).rejects.toMatchObject({
      code: "ERR_ARGUMENT_TYPE",
      message: 'countTokens: parseSpecial is for messages, got "text": no template writes a text',
    });
    await expect(llm.countTokens("text", { tool: [] } as never)).rejects.toMatchObject({
      code: "ERR_UNKNOWN_OPTION",
    });
    await using bare = await loadLLM(goldenFolder("qwen3"));
    await expect(bare.countTokens("text")).rejects.toMatchObject({ code: "ERR_TOKENIZER" });
  });
});
