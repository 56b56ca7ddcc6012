// Contract: an embedding is the pooled hidden state of a float64 decoder, whatever the batch, the chunks and the prefix cache; bad arguments are
// named, and an abort ends them all.
import { describe, expect, it } from "vitest";
import type { EmbedOptions } from "../../lib/llm/embed.js";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import type { LLM } from "../../lib/llm/llm.js";
import { referenceHidden } from "../support/referenceTransformer.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import { loadLLM, modelFolder, withLLM } from "./checkpoints.js";

// As Qwen3-Embedding: no head of its own.
const config = tinyConfig("Qwen3ForCausalLM", { tie_word_embeddings: true });
const tensors = tinyTensors(config);
const D = config.hidden_size;
const text = (length: number, first = 3) =>
  Array.from({ length }, (_, t) => (t * 7 + first) % config.vocab_size);
const texts = [text(1), text(40), text(7, 5), text(23, 1), text(17), text(33, 5)];

function expected(tokens: readonly number[], options: EmbedOptions): Float64Array {
  const { pooling = "last", normalize = true, dimensions = D } = options;
  const hidden = referenceHidden(config, tensors, tokens);
  const rows = Array.from({ length: tokens.length }, (_, t) => hidden.subarray(t * D, t * D + dimensions));
  const used = pooling === "last" ? rows.slice(-1) : rows;
  const mean = used[0]!.map((_, d) => used.reduce((sum, row) => sum + row[d]!, 0) / used.length);
  const norm = Math.sqrt(mean.reduce((sum, value) => sum + value ** 2, 0));
  return normalize ? mean.map((value) => value / norm) : mean;
}

const withTiny = async <T>(options: LLMOptions, body: (llm: LLM) => Promise<T>): Promise<T> =>
  withLLM(await writeCheckpoint(config, tensors), { dtype: "f32", ...options }, body);

function expectNear(rows: readonly Float32Array[], options: EmbedOptions = {}): void {
  expect(rows).toHaveLength(texts.length);
  for (const [i, row] of rows.entries()) {
    const wanted = expected(texts[i]!, options);
    const error = Math.hypot(...wanted.map((value, d) => value - row[d]!)) / Math.hypot(...wanted);
    expect(row).toHaveLength(wanted.length);
    expect(error).toBeLessThan(1e-5); // as in test/models/variants.test.ts
  }
}

const kinds: readonly EmbedOptions[] = [
  {},
  { pooling: "mean" },
  { normalize: false },
  { pooling: "mean", normalize: false },
  { dimensions: 5 },
  { pooling: "mean", dimensions: 9, normalize: true },
];

describe("embed", () => {
  it.each(kinds)("%o", async (options) => {
    await withTiny({}, async (llm) => expectNear(await llm.embed(texts, options), options));
  });

  it("gives the same bits alone, in chunks, found in the prefix cache, and beside generations", async () => {
    for (const pooling of ["last", "mean"] as const) {
      const whole = await withTiny({}, (llm) => llm.embed(texts, { pooling }));
      await withTiny({ maxStepTokens: 16, maxSequences: 3 }, async (llm) => {
        const before = await llm.generate(text(9), { maxTokens: 12, temperature: 0 }).result();
        const beside = llm.generate(text(9), { maxTokens: 12, temperature: 0 }).result();
        expect(await llm.embed(texts, { pooling })).toEqual(whole);
        expect((await beside).tokenIds).toEqual(before.tokenIds);
        expect(await llm.embed(texts, { pooling })).toEqual(whole);
        if (pooling === "last") expect(llm.stats().prefix.hits).toBeGreaterThan(0);
        for (const [i, one] of texts.entries())
          expect(await llm.embed([one], { pooling })).toEqual([whole[i]]);
      });
    }
  });

  it("of texts are those of their tokens", async () => {
    await using llm = await loadLLM(modelFolder("tiny-draft"));
    const words = ["a small fox", "a small fox", "the sea at night"];
    const rows = await llm.embed(words);
    expect(rows).toEqual(await llm.embed(words.map((one) => llm.tokenizer!.encode(one))));
    expect(rows[0]).toEqual(rows[1]);
    expect(rows[0]).not.toEqual(rows[2]);
    expect(await llm.embed([])).toEqual([]);
  });

  const bad: readonly (readonly [texts: unknown, options: unknown, error: object])[] = [
    ["a text", {}, { code: "ERR_ARGUMENT_TYPE", message: 'texts: expected an array, got "a text"' }],
    [
      [[1], [99]],
      {},
      { code: "ERR_ARGUMENT_RANGE", message: expect.stringMatching(/^texts\[1\]\[0\]: /) as unknown },
    ],
    [
      [[1], []],
      {},
      {
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringMatching(/^texts\[1\]: expected at least/) as unknown,
      },
    ],
    [
      [[1], text(128)],
      {},
      { code: "ERR_CONTEXT_LENGTH", message: expect.stringMatching(/^texts\[1\]: got 128/) as unknown },
    ],
    [[[1], "words"], {}, { code: "ERR_TOKENIZER" }],
    [[[1]], { pooling: "max" }, { message: 'pooling: expected "last" or "mean", got "max"' }],
    [[[1]], { dimensions: 25 }, { message: "dimensions: expected an integer from 1 to 24, got 25" }],
    [[[1]], { normalize: 1 }, { code: "ERR_ARGUMENT_TYPE" }],
    [[[1]], { pool: "mean" }, { message: expect.stringContaining("pool") as unknown }],
    [[[1]], { signal: {} }, { code: "ERR_ARGUMENT_TYPE" }],
  ];
  it("names what is wrong", async () => {
    await withTiny({}, async (llm) => {
      for (const [wrong, options, error] of bad)
        await expect(llm.embed(wrong as [], options as object)).rejects.toMatchObject(error);
      expectNear(await llm.embed(texts));
    });
  });

  it("ends with the reason of its signal, and leaves nothing behind", async () => {
    await withTiny({ maxStepTokens: 16, maxSequences: 2 }, async (llm) => {
      const reason = new Error("no longer wanted");
      await expect(llm.embed(texts, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
      const aborting = new AbortController();
      const all = llm.embed([...texts, ...texts], { signal: aborting.signal });
      setImmediate(() => aborting.abort(reason));
      await expect(all).rejects.toBe(reason);
      expectNear(await llm.embed(texts));
      expect(llm.stats()).toMatchObject({ running: 0, waiting: 0 });
    });
  });

  it("is refused once the model is closed, and ends with it", async () => {
    const llm = await loadLLM(await writeCheckpoint(config, tensors), { maxStepTokens: 16, maxSequences: 2 });
    const all = llm.embed(texts);
    const ended = expect(all).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_ABORTED|ERR_CLOSED/) as unknown,
    });
    await llm.close();
    await ended;
    await expect(llm.embed(texts)).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });

  describe("of a checkpoint without a head that its config does not tie", () => {
    const untied = { ...config, tie_word_embeddings: false };
    const bare = new Map([...tensors].map(([name, tensor]) => [name.replace(/^model\./, ""), tensor]));

    it.each([
      { names: "usual names", stored: tensors },
      { names: "the names of sentence-transformers", stored: bare },
    ])("are the same, and generate says what is missing: $names", async ({ stored }) => {
      await withLLM(await writeCheckpoint(untied, stored), { dtype: "f32" }, async (llm) => {
        expect(llm.shape.hasHead).toBe(false);
        expectNear(await llm.embed(texts));
        const lacking = {
          ...{ name: "CheckpointError", code: "ERR_CHECKPOINT_TENSOR", tensor: "lm_head.weight" },
          message: expect.stringMatching(
            /no lm_head\.weight, .* \(tie_word_embeddings\): .* llm\.embed/,
          ) as unknown,
        };
        expect(() => llm.generate(text(3))).toThrow(expect.objectContaining(lacking));
        await expect(llm.generateAll([text(3)])).rejects.toMatchObject(lacking);
        await expect(llm.logits(text(3))).rejects.toMatchObject(lacking);
        expectNear(await llm.embed(texts));
      });
    });

    it("but any other tensor has to be there", async () => {
      const stored = new Map([...tensors].filter(([name]) => name !== "model.norm.weight"));
      await expect(loadLLM(await writeCheckpoint(untied, stored))).rejects.toThrow(
        "1 missing: model.norm.weight",
      );
    });
  });
});
