// Contract: through LLM, the trained checkpoints tell their golden texts with their log probabilities, and every family
// computes the logits of its golden checkpoint; neither the path through the engine nor the batch changes a bit.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import type { TokenLogprob } from "../../lib/llm/output.js";
import { LLM } from "../../lib/llm/llm.js";
import { expectBits } from "../support/bits.js";
import {
  allowedDifference,
  compareGolden,
  goldenFamilies,
  readGolden,
  type Golden,
  type GoldenSequence,
} from "../support/goldens.js";
import { goldenFolder, modelFolder, type TextGolden, textGoldens, withLLM } from "./checkpoints.js";

/** Below this gap (in nats) between the best two tokens another order of additions may choose the other one. */
const decidedMargin = 0.2;
/** On log probabilities of the golden's top five: f32 arithmetic against f32 arithmetic, and bf16 activations. */
const tolerances = { f32: 2e-3, bf16: 0.3 };
/** A token that all but never comes says nothing: its logarithm magnifies rounding. */
const leastLogprob = -10;

const textCases = ["tiny-moe", "tiny-draft"].flatMap((name) =>
  (["f32", "bf16"] as const).map((dtype) => ({ name, dtype })),
);

describe.each(textCases)("models/$name in $dtype", ({ name, dtype }) => {
  let llm: LLM;
  const goldens = textGoldens(name);
  const decided = goldens.filter(({ min_top1_margin: margin }) => margin > decidedMargin);

  beforeAll(async () => {
    llm = await LLM.load(modelFolder(name), { dtype }); // on as many threads as users get
  });
  afterAll(() => llm.close());

  it("tells the golden texts token for token, all in one batch", async () => {
    const options = { temperature: 0, logprobs: 5, promptLogprobs: 0 };
    const results = await llm.generateAll(
      decided.map(({ prompt }) => prompt),
      options,
    );
    for (const [i, golden] of decided.entries()) {
      const { tokenIds, text, finishReason, stopReason, usage, logprobs, promptLogprobs } = results[i]!;
      expect(tokenIds).toEqual(golden.greedy_ids);
      expect(text).toBe(llm.tokenizer!.decode(golden.greedy_ids));
      expect({ finishReason, stopReason }).toEqual({ finishReason: "stop", stopReason: tokenIds.at(-1) });
      const [promptTokens, completionTokens] = [golden.prompt_ids.length, golden.greedy_ids.length];
      expect(usage).toEqual({ promptTokens, completionTokens, cachedTokens: 0 });
      const told = logprobs!.flatMap(({ tokenId, logprob }) => [tokenId, logprob]);
      expectBits(llm.stats(), `text of ${name} in ${dtype}: ${golden.prompt}`, [Float64Array.from(told)]);
      expect(worstTop5(golden, logprobs!)).toBeLessThan(tolerances[dtype]);
      expect(worstPrompt(golden, promptLogprobs!)).toBeLessThan(tolerances[dtype]);
    }
  });

  it("gives the log probabilities of texts that a rounding decides as long as it tells the same", async () => {
    const close = goldens.filter(({ min_top1_margin: margin }) => margin <= decidedMargin);
    for (const golden of close) {
      const { tokenIds, logprobs } = await llm.generate(golden.prompt_ids, { logprobs: 5 }).result();
      const same = tokenIds.findIndex((id, i) => id !== golden.greedy_ids[i]);
      const known = logprobs!.slice(0, same < 0 ? tokenIds.length : same + 1); // that distribution is still the golden's
      expect(worstTop5(golden, known)).toBeLessThan(tolerances[dtype]);
    }
  });
});

/** Largest difference from the golden's log probabilities; the best tokens must come best first, the chosen one among them. */
function worstTop5({ top5_logprobs: goldens }: TextGolden, logprobs: readonly TokenLogprob[]): number {
  let worst = 0;
  for (const [i, { tokenId, logprob, top }] of logprobs.entries()) {
    const values = top.map((entry) => entry.logprob);
    expect(values).toEqual([...values].sort((a, b) => b - a));
    expect(top[0]).toMatchObject({ tokenId, logprob }); // greedy
    const actual = new Map(top.map((entry) => [entry.tokenId, entry.logprob]));
    for (const [id, expected] of goldens[i]!.slice(0, 3)) {
      if (expected > leastLogprob + 5) worst = Math.max(worst, Math.abs((actual.get(id) ?? NaN) - expected));
    }
  }
  return worst;
}

function worstPrompt(
  { prompt_logprobs: expected }: TextGolden,
  entries: readonly (TokenLogprob | null)[],
): number {
  if (!expected) return 0;
  expect(entries[0]).toBeNull();
  const differences = expected.map((value, i) =>
    value === null || value < leastLogprob ? 0 : Math.abs((entries[i]?.logprob ?? NaN) - value),
  );
  return differences.reduce((a, b) => Math.max(a, b), 0);
}

/** Ways through the engine that must not change a bit; the first is what the others are compared with. */
const paths: readonly { readonly name: string; readonly options: LLMOptions }[] = [
  { name: "one prefill, no graphs, no prefix cache", options: { graphs: false, prefixCache: false } },
  { name: "chunked prefill and graphs", options: { maxStepTokens: 32, maxSequences: 4 } },
  { name: "one token per step", options: { maxStepTokens: 1, maxSequences: 1, prefixCache: false } },
  { name: "odd pages, reserved", options: { pageSize: 5, admission: "reserve", maxStepTokens: 37 } },
];

const familyCases = goldenFamilies.flatMap((family) =>
  (["f32", "bf16"] as const).map((dtype) => ({ family, dtype })),
);

describe.each(familyCases)("goldens/$family in $dtype", ({ family, dtype }) => {
  let golden: Golden;
  let reference: Float32Array[];
  let isa: string;

  const logitsOf = (llm: LLM) => Promise.all(golden.sequences.map(({ tokens }) => llm.logits(tokens)));

  beforeAll(async () => {
    golden = await readGolden(family);
    reference = await withLLM(golden.folder, { dtype, ...paths[0]!.options }, async (llm) => {
      isa = llm.stats().isa;
      const logits = [];
      for (const { tokens } of golden.sequences) logits.push(await llm.logits(tokens)); // one after the other
      return logits;
    });
  });

  it("gives the bits of the model run by hand", () => {
    expectBits({ isa }, `goldens/${family} in ${dtype}`, reference);
  });

  it("gives the trusted logits", () => {
    const allowed = allowedDifference(golden, dtype);
    for (const [i, sequence] of golden.sequences.entries()) {
      const { max, rms, relative, regret } = compareGolden([sequence], [reference[i]!]);
      expect(max).toBeLessThan(allowed.max);
      expect(rms).toBeLessThan(allowed.rms);
      expect(relative).toBeLessThan(allowed.relative);
      expect(regret).toBeLessThan(allowed.regret);
    }
  });

  it.each(paths.slice(1))("gives the same bits through: $name", async ({ options }) => {
    await withLLM(golden.folder, { dtype, ...options }, async (llm) => {
      const busy = llm.generate(golden.sequences[1]!.tokens.slice(0, 70), { ignoreEos: true, maxTokens: 30 });
      const neighbour = busy.result(); // decodes beside them
      expect(sameBits(await logitsOf(llm), reference)).toBe(true);
      await neighbour;
      expect(sameBits(await logitsOf(llm), reference)).toBe(true); // the prefix cache knows the prompts now
    });
  });
});

function sameBits(actual: readonly Float32Array[], expected: readonly Float32Array[]): boolean {
  return actual.every(({ buffer }, i) => Buffer.from(buffer).equals(Buffer.from(expected[i]!.buffer)));
}

/** That of phi3 is of the other list of factors than its logits are: models/longrope.test.ts. */
const continued = goldenFamilies.filter((family) => family !== "phi3");

/** Whose context of 39 tokens and 16 more is longer than their windows. */
const withWindows = new Set<string>(["gemma3"]);

describe.each(continued)("greedy continuation of goldens/%s in f32", (family) => {
  let short: GoldenSequence;
  let long: GoldenSequence;
  beforeAll(async () => {
    [short, long] = (await readGolden(family)).sequences as [GoldenSequence, GoldenSequence];
  });

  it.each(paths)("$name", async ({ options }) => {
    await withLLM(goldenFolder(family), { dtype: "f32", ...options }, async (llm) => {
      const asked = { maxTokens: 16, ignoreEos: true };
      const run = () => llm.generate(short.tokens, asked).result();
      const beside = llm.generate(long.tokens, { ...asked, temperature: 1, seed: 1 }).result();
      const [first, second] = await Promise.all([run(), run(), beside]);
      expect(first.tokenIds).toEqual(short.continuation);
      expect(second.tokenIds).toEqual(first.tokenIds);
      const again = await run();
      expect(again.tokenIds).toEqual(first.tokenIds);
      const pageSize = options.pageSize ?? (family.startsWith("deepseek") ? 64 : 16);
      const cached = options.prefixCache === false ? 0 : Math.floor(39 / pageSize) * pageSize; // the last token is run again
      // Of layers with a window only what it saw at the end of a prompt or a request is sure to be there still.
      if (withWindows.has(family)) expect(again.usage.cachedTokens).toBeLessThanOrEqual(cached);
      else expect(again.usage.cachedTokens).toBe(cached);
    });
  });
});
