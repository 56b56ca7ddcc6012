// Contract: a request with a format gives the same tokens and log probabilities bit for bit, whatever runs beside it and however the
// engine is set up; one that ends early or cannot go on takes nobody with it.
import { beforeAll, describe, expect, it } from "vitest";
import type { OutputFormat } from "../../lib/index.js";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import type { GenerateOptions } from "../../lib/llm/generateOptions.js";
import { type Ask, ask, bytesOfPages, essence, modelFolder, until, withLLM } from "../llm/checkpoints.js";

const folder = modelFolder("tiny-moe");
const schema = { type: "object", properties: { a: { type: "string" }, b: { type: "array", items: {} } } };
const formats: readonly (OutputFormat | undefined)[] = [
  { regex: "(?:[a-z]+ )+[a-z]+\\." },
  "json",
  undefined,
  { schema },
  { choice: ["yes", "no, never", "perhaps"] },
  { regex: "[^\\n]*是?" },
  { regex: "(?:There was once a fox who said (?:yes|no)\\. )+" },
];
const styles: readonly GenerateOptions[] = [
  { temperature: 0 },
  { temperature: 1.4, seed: 5 },
  { temperature: 0.9, topK: 40, topP: 0.95, seed: 7, repetitionPenalty: 1.2, frequencyPenalty: 0.3 },
  { temperature: 1, seed: 3, logprobs: 3, promptLogprobs: 1, presencePenalty: 1 },
  { temperature: 1.2, seed: 12, n: 3 },
  { temperature: 1.1, seed: 2, minTokens: 4, logitBias: { 11: 4, 12: -Infinity } },
];
/** More than a page of tokens, so that others find it. */
const beginning =
  "Once upon a time there was a fox who lived in a wood, and a wolf, and an old bear. ".repeat(2);
const asks: readonly Ask[] = Array.from({ length: 14 }, (_, i) => {
  const format = formats[i % formats.length];
  const style = styles[(i + Math.floor(i / formats.length)) % styles.length]!;
  return {
    prompt: i % 2 === 0 ? `${beginning} ${i}` : `Once upon a time ${i}`,
    options: { ...style, maxTokens: 12 + (i % 3) * 4, ...(format !== undefined && { format }) },
  };
});

const engines: readonly { readonly name: string; readonly options: LLMOptions; readonly pages?: number }[] = [
  { name: "all at once, prefixes found", options: {} },
  { name: "preempted, in small steps", options: { maxStepTokens: 33, maxSequences: 8 }, pages: 6 },
];

/** Errors are results as well: minTokens with a short choice leaves no token. */
async function outcomes(run: Promise<unknown>[]): Promise<unknown[]> {
  const settled = await Promise.allSettled(run);
  return settled.map((one) =>
    one.status === "fulfilled" ? one.value : { code: (one.reason as { code: string }).code },
  );
}

let alone: unknown[];
let pageBytes: number;

beforeAll(async () => {
  const options = { maxSequences: 4, prefixCache: false, graphs: false };
  alone = await withLLM(folder, options, async (llm) => {
    pageBytes = bytesOfPages(llm, 0);
    const results: unknown[] = [];
    for (const one of asks)
      results.push(...(await outcomes([ask(llm, [one]).then(([only]) => essence(only!))])));
    return results;
  });
});

describe("a format is kept to in the same tokens", () => {
  it.each(engines)("$name", async ({ options, pages }) => {
    const kvCacheBytes = pages === undefined ? undefined : (pages + 1) * pageBytes;
    await withLLM(folder, { ...options, ...(kvCacheBytes && { kvCacheBytes }) }, async (llm) => {
      // The first time they come as their grammars are compiled, then together.
      for (let time = 0; time < 2; time++) {
        const run = asks.map((one) => ask(llm, [one]).then(([only]) => essence(only!)));
        expect(await outcomes(run)).toEqual(alone);
      }
      const { preemptions, prefix } = llm.stats();
      expect(preemptions > 0).toBe(pages !== undefined);
      if (pages === undefined) expect(prefix.hits).toBeGreaterThan(0);
    });
  });

  it("and the cases are not idle", () => {
    const codes = alone.filter((one) => (one as { code?: string }).code !== undefined);
    expect(codes.length).toBeLessThan(3);
    expect(alone.length).toBe(asks.length);
  });
});

describe("one that ends early", () => {
  it("while its mask is waited for, or before it runs, leaves the others as they are", async () => {
    await withLLM(folder, { maxSequences: 6 }, async (llm) => {
      const expected = await ask(llm, asks.slice(0, 2));
      for (let turns = 0; turns < 12; turns += 4) {
        const others = ask(llm, asks.slice(0, 2));
        const aborted = llm.generate("Another", {
          maxTokens: 40,
          temperature: 1.3,
          seed: turns,
          format: "json",
          n: 2,
        });
        for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
        aborted.abort();
        for (const { finishReason } of (await aborted.result()).choices) expect(finishReason).toBe("abort");
        expect((await others).map(essence)).toEqual(expected.map(essence));
      }
      await until(() => llm.stats().running === 0);
    });
  });

  it("since no token goes on with its format is a typed error of its own", async () => {
    await withLLM(folder, { maxSequences: 6 }, async (llm) => {
      const [expected] = await ask(llm, asks.slice(0, 1));
      const other = ask(llm, asks.slice(0, 1));
      const ids = Object.fromEntries(Array.from({ length: llm.shape.vocabSize }, (_, id) => [id, -Infinity]));
      const dead = llm.generate("More", {
        format: { regex: "ab" },
        maxTokens: 4,
        logitBias: { ...ids, 1023: 0 },
      });
      await expect(dead.result()).rejects.toMatchObject({ name: "SamplingError", code: "ERR_ALL_BANNED" });
      expect((await other).map(essence)).toEqual([essence(expected!)]);
    });
  });
});
