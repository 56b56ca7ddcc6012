// Contract: a large tokenizer.json read on another thread gives the same tokenizer and the same errors; texts that cannot be cut
// are encoded on a thread, with the same ids, while the event loop turns; a signal ends that work.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inTurns } from "../../lib/eventLoop.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import type { JsonObject } from "../../lib/checkpoint/json.js";
import { byteFallbackJson, tokenizerJson, variant } from "./checkpoint.js";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "warploop-"));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** White space makes a file large without changing what it says. */
const large = (json: string): string => json.padEnd(1_500_000);
const write = (json: string): void => {
  writeFileSync(join(folder, "tokenizer.json"), json);
};
const texts = ["Hello world", "  한글 😀\n\n<|im_end|>x", "a".repeat(300), "1234567"];

describe("a large tokenizer.json", () => {
  test.each<[string, JsonObject]>([
    ["tiny-moe", JSON.parse(tokenizerJson) as JsonObject],
    ["byte fallback", JSON.parse(byteFallbackJson({ type: "Fuse" })) as JsonObject],
    [
      "word pieces",
      variant({ model: { type: "WordPiece", unk_token: "[UNK]", vocab: { "[UNK]": 0, a: 1, "##a": 2 } } }),
    ],
  ])("gives the same tokenizer: %s", async (_, json) => {
    write(large(JSON.stringify(json)));
    const read = (await Tokenizer.load(folder))!;
    const parsed = Tokenizer.parse(JSON.stringify(json), "t.json");
    expect(read).toMatchObject({ vocabSize: parsed.vocabSize, specialIds: parsed.specialIds });
    for (const text of texts) {
      expect(read.encode(text)).toEqual(parsed.encode(text));
      expect(read.decode(read.encode(text))).toBe(parsed.decode(parsed.encode(text)));
      expect(read.leastTokens(text.repeat(100))).toBe(parsed.leastTokens(text.repeat(100)));
    }
    for (let id = 0; id < parsed.vocabSize; id++) expect(read.tokenText(id)).toBe(parsed.tokenText(id));
  });

  test.each([
    ["no JSON", "{"],
    ["no model", "{}"],
    [
      "a merge that is no text",
      JSON.stringify(variant({ model: { type: "BPE", vocab: { a: 0 }, merges: ["a a", 5] } })),
    ],
  ])("gives the same error: %s", async (_, json) => {
    write(large(json));
    const error = await Tokenizer.load(folder).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: "TextError",
      code: "ERR_TOKENIZER",
      file: join(folder, "tokenizer.json"),
    });
    const expected = (): Tokenizer => Tokenizer.parse(large(json), join(folder, "tokenizer.json"));
    expect(expected).toThrow(expect.objectContaining({ message: (error as Error).message }));
  });
});

describe("a text that cannot be cut", () => {
  const tokenizer = Tokenizer.parse(tokenizerJson, "t.json");
  const whole = Tokenizer.parse(byteFallbackJson({ type: "Fuse" }), "t.json"); // cuts no text
  const word = "abcd".repeat(20_000);
  afterAll(async () => {
    await tokenizer.endThread();
    await whole.endThread();
  });

  test("has the same ids, and the event loop turns meanwhile", async () => {
    let numTurns = 0;
    const counting = setInterval(() => numTurns++, 1);
    for (const text of [word, `Some prose before ${word} and behind`, "😀".repeat(10_000)]) {
      expect(await tokenizer.encodeAsync(text)).toEqual(tokenizer.encode(text));
    }
    const spaced = "b ▁a ".repeat(2000);
    expect(await whole.encodeAsync(spaced)).toEqual(whole.encode(spaced));
    clearInterval(counting);
    expect(numTurns).toBeGreaterThan(10);
  });

  test("several of them, and short texts in between", async () => {
    const all = ["x".repeat(9000), "short", "y".repeat(9000), "Once upon a time"];
    const ids = await Promise.all(all.map((text) => tokenizer.encodeAsync(text)));
    expect(ids).toEqual(all.map((text) => tokenizer.encode(text)));
  });

  test("the end of the thread is ERR_CLOSED, and the next text has a new one", async () => {
    const long = whole.encodeAsync("b".repeat(5_000_000));
    setTimeout(() => void whole.endThread(), 20);
    await expect(long).rejects.toMatchObject({ code: "ERR_CLOSED" });
    expect(await whole.encodeAsync("b".repeat(5000))).toEqual(whole.encode("b".repeat(5000)));
  });

  test("a signal ends the work, and the next text has a new thread", async () => {
    const aborting = new AbortController();
    const long = inTurns(whole.encodeSteps("b".repeat(5_000_000), { signal: aborting.signal }));
    const other = whole.encodeAsync("b".repeat(5000));
    setTimeout(() => aborting.abort(), 20);
    await expect(long).rejects.toMatchObject({ code: "ERR_TOKENIZER" });
    expect(await other).toEqual(whole.encode("b".repeat(5000)));
    const late = inTurns(whole.encodeSteps("b".repeat(5000), { signal: aborting.signal }));
    await expect(late).rejects.toMatchObject({ code: "ERR_TOKENIZER" });
  });
});
