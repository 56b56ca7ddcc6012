// Contract: perplexity is that of a float64 softmax over the logits of each window; every token but the first counts once.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LLM } from "../../lib/index.js";
import { expectNear } from "../support/compare.js";
import { toleranceFor } from "../support/tolerance.js";
import { loadLLM, modelFolder, withLLM } from "./checkpoints.js";

const contextLength = 40;
const text =
  "Once upon a time there was a small fox who lived by the sea and counted the waves at night. ".repeat(3);
let llm: LLM;
let ids: readonly number[];
beforeAll(async () => {
  llm = await loadLLM(modelFolder("tiny-moe"), { contextLength, dtype: "f32" });
  ids = [...llm.tokenizer!.encode(text)];
});
afterAll(() => llm.close());

/** -log softmax(logits)[id] of row t, in float64. */
function nllOf(logits: Float32Array, t: number, id: number): number {
  const V = llm.shape.vocabSize;
  const row = logits.subarray(t * V, (t + 1) * V);
  const most = row.reduce((a, b) => Math.max(a, b));
  return most + Math.log(row.reduce((sum, value) => sum + Math.exp(value - most), 0)) - row[id]!;
}

/** By the definition: of each token the first window that it is in. */
async function reference(tokens: readonly number[], window: number, stride: number): Promise<number> {
  const nlls: number[] = [];
  for (let begin = 0; nlls.length < tokens.length - 1; begin += stride) {
    const part = tokens.slice(begin, begin + window);
    const logits = await llm.logits(part);
    for (let t = nlls.length + 1 - begin; t < part.length; t++) nlls.push(nllOf(logits, t - 1, part[t]!));
  }
  return nlls.reduce((sum, value) => sum + value, 0) / nlls.length;
}

const longest = contextLength - 1;
const cases: readonly {
  tokens: number;
  window?: number;
  stride?: number;
  isRead: readonly [number, number];
}[] = [
  { tokens: 2, isRead: [longest, 20] },
  { tokens: 30, isRead: [longest, 20] },
  { tokens: longest, isRead: [longest, 20] },
  { tokens: longest + 1, isRead: [longest, 20] },
  { tokens: 61, isRead: [longest, 20] },
  { tokens: 61, window: 16, isRead: [16, 8] },
  { tokens: 61, window: 16, stride: 15, isRead: [16, 15] },
  { tokens: 20, window: 9, stride: 1, isRead: [9, 1] },
  { tokens: 9, window: 2, isRead: [2, 1] },
];

describe("perplexity", () => {
  it.each(cases)(
    "of $tokens tokens, window $window, stride $stride",
    async ({ tokens, isRead, ...options }) => {
      const part = ids.slice(0, tokens);
      const result = await llm.perplexity(part, options);
      const expected = await reference(part, ...isRead);
      // One f32 subtraction behind a sum in f32 of V terms.
      const { relative } = toleranceFor("f32", { reduction: llm.shape.vocabSize });
      expectNear([result.nll], [expected], relative);
      expect(result.perplexity).toBe(Math.exp(result.nll));
      expect(result.tokens).toBe(tokens - 1);
    },
  );

  it("of a text is that of its tokens, beside generations, in chunks, and from the prefix cache", async () => {
    const expected = await llm.perplexity(ids);
    expect(ids.length).toBeGreaterThan(contextLength);
    const beside = llm.generate("Once upon a time", { maxTokens: 10 }).result();
    expect(await llm.perplexity(text)).toEqual(expected);
    await beside;
    expect(llm.stats()).toMatchObject({ running: 0, waiting: 0 });
    const options = { contextLength, dtype: "f32", maxStepTokens: 7, maxSequences: 2 } as const;
    await withLLM(modelFolder("tiny-moe"), options, async (other) => {
      expect(await other.perplexity(text)).toEqual(expected);
      expect(await other.perplexity(text)).toEqual(expected);
    });
  });

  it("names what is wrong", async () => {
    const wrong = (...args: Parameters<LLM["perplexity"]>) => expect(llm.perplexity(...args)).rejects;
    const range = (message: string) => ({ code: "ERR_ARGUMENT_RANGE", message });
    await wrong([5]).toMatchObject(range("perplexity: expected a text of at least two tokens, got 1"));
    await wrong(ids, { window: 40 }).toMatchObject(range("window: expected an integer from 2 to 39, got 40"));
    await wrong(ids, { window: 8, stride: 8 }).toMatchObject(
      range("stride: expected an integer from 1 to 7, got 8"),
    );
    await wrong([1, -1]).toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
  });

  it("ends with the reason of its signal, and when the model closes", async () => {
    const reason = new Error("enough");
    await expect(llm.perplexity(ids, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const long = Array.from({ length: 2000 }, (_, i) => ids[i % ids.length]!);
    const running = llm.perplexity(long, { signal: controller.signal, stride: 1 });
    setTimeout(() => controller.abort(reason), 20);
    await expect(running).rejects.toBe(reason);
    const other = await loadLLM(modelFolder("tiny-moe"), { contextLength });
    const closed = expect(other.perplexity(long, { stride: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(ABORTED|CLOSED)$/) as string,
    });
    setTimeout(() => void other.close(), 20);
    await closed;
  });
});
