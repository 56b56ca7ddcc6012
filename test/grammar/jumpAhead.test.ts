// Contract: what a format leaves no choice about comes without being sampled, in the tokens that the tokenizer writes it with, and the text is the
// one that sampling would have given; limits, stop strings and whatever a request asks for about its tokens hold as ever.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { forcedTokens } from "../../lib/grammar/forcedTokens.js";
import { GrammarVocabulary } from "../../lib/grammar/matcher.js";
import { tokenBytes } from "../../lib/grammar/tokenBytes.js";
import { runNow } from "../../lib/eventLoop.js";
import { type GenerateOptions, LLM, type OutputFormat } from "../../lib/index.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { modelFolder } from "../llm/checkpoints.js";
import { Random } from "../support/random.js";
import { firstSeed } from "../support/seed.js";
import { byteLevelJson, sentencePieceJson } from "../text/tokenizerFiles.js";

const text = '{"short description of the weather":"';
const schema = {
  type: "object",
  properties: {
    "short description of the weather": { type: "string", maxLength: 6 },
    kind: { const: "a story about a fox and an old bear" },
  },
  required: ["short description of the weather", "kind"],
  additionalProperties: false,
};

describe("a text with a format", () => {
  let llm: LLM;
  beforeAll(async () => (llm = await LLM.load(modelFolder("tiny-moe"), { device: "cpu", threads: 1 })));
  afterAll(() => llm.close());

  async function run(options: GenerateOptions) {
    const before = llm.stats().steps;
    const tokens: number[] = [];
    const stream = llm.generate("Once upon a time", {
      maxTokens: 120,
      seed: 5,
      format: { schema },
      ...options,
    });
    for await (const { tokenIds } of stream) tokens.push(...tokenIds);
    const { text: whole, finishReason } = await stream.result();
    return { text: whole, finishReason, tokens, steps: llm.stats().steps - before };
  }

  it.each([
    { temperature: 0 },
    { temperature: 1.3 },
    { temperature: 0.8, topK: 20, frequencyPenalty: 0.3, seed: 9 },
  ])("is the same in far fewer steps than tokens: $temperature", async (style) => {
    const jumping = await run(style);
    const sampled = await run({ ...style, logprobs: 0 }); // of each token, so each is sampled
    expect(jumping.tokens).toEqual(sampled.tokens);
    expect(jumping.text).toBe(sampled.text);
    expect(sampled.steps).toBeGreaterThanOrEqual(sampled.tokens.length);
    expect(jumping.steps).toBeLessThan(jumping.tokens.length / 2);
    expect(llm.tokenizer!.decode(Int32Array.from(jumping.tokens))).toBe(jumping.text);
  });

  it("samples every token where a token is biased", async () => {
    const { steps, tokens } = await run({ temperature: 0, logitBias: { 7: 0.001 } });
    expect(steps).toBeGreaterThanOrEqual(tokens.length);
  });

  it("ends at its limit, wherever that is", async () => {
    const { tokens, text: whole } = await run({ temperature: 0 });
    for (let maxTokens = 1; maxTokens < tokens.length; maxTokens += 3) {
      const cut = await run({ temperature: 0, maxTokens });
      expect([cut.tokens.length, cut.finishReason]).toEqual([maxTokens, "length"]);
      expect(whole.startsWith(cut.text)).toBe(true);
    }
  });

  it("ends at a stop string of which no token is sampled", async () => {
    const cut = await run({ temperature: 0, stop: ["description of"] });
    expect(cut).toMatchObject({ text: '{"short ', finishReason: "stop" });
    llm.checkIntegrity();
  });

  it("is written whole where it is the only one", async () => {
    const format: OutputFormat = { choice: ["It was a dark and stormy night, and nobody was there."] };
    const { text: whole, steps, finishReason } = await run({ temperature: 1, format });
    expect([whole, finishReason]).toEqual([(format as { choice: string[] }).choice[0], "stop"]);
    expect(steps).toBeLessThan(5);
  });
});

describe("bytes as tokens", () => {
  interface Kind {
    readonly name: string;
    readonly load: () => Tokenizer | Promise<Tokenizer>;
  }
  const words = ["▁", "t", "h", "e", "▁t", "▁th", "▁the", "he", "{", '"', '{"', ":", '":'];
  const merges = ["▁ t", "▁t h", "▁th e", "h e", '{ "', '" :'];
  const kinds: readonly Kind[] = [
    { name: "byte-level BPE", load: async () => (await Tokenizer.load(modelFolder("tiny-moe")))! },
    {
      name: "bytes alone",
      load: () => Tokenizer.parse(JSON.stringify(byteLevelJson(["<|end|>"])), "tokenizer.json"),
    },
    {
      name: "SentencePiece",
      load: () => Tokenizer.parse(JSON.stringify(sentencePieceJson(words, merges)), "tokenizer.json"),
    },
  ];

  describe.each(kinds)("$name", ({ load }) => {
    let tokenizer: Tokenizer;
    let vocabulary: GrammarVocabulary;
    beforeAll(async () => {
      tokenizer = await load();
      vocabulary = new GrammarVocabulary(runNow(tokenBytes(tokenizer, tokenizer.vocabSize)));
    });
    const bytesOf = (ids: readonly number[]): Buffer =>
      Buffer.concat(ids.map((id) => vocabulary.bytesOf(id)));

    it("are the beginning of what comes, cut anywhere, and what the tokenizer writes", () => {
      const random = new Random(firstSeed);
      const all = `${text}the warm über 是 the 😀 theme","the":1}`;
      let found = 0;
      for (let i = 0; i < 300; i++) {
        const ids = Array.from(
          tokenizer.encode(all.slice(random.integer(0, 30)), { addSpecialTokens: false }),
        );
        const at = random.integer(0, ids.length);
        const before = ids.slice(Math.max(0, at - 4), at);
        const rest = bytesOf(ids.slice(at));
        const bytes = rest.subarray(0, random.integer(0, rest.length + 1));
        const forced = forcedTokens(tokenizer, vocabulary, { before, bytes });
        const written = bytesOf(forced);
        expect(bytes.subarray(0, written.length)).toEqual(written);
        expect(written.length === 0 || written.length < bytes.length).toBe(true);
        expect(forced).toEqual(ids.slice(at, at + forced.length));
        if (forced.length > 0) found++;
      }
      expect(found).toBeGreaterThan(100);
    });

    it("are none of a control token, and none that spell one", () => {
      const bytes = Buffer.concat([
        Buffer.from(text),
        Uint8Array.of(0xfe),
        Buffer.from("name"),
        Uint8Array.of(0xff),
      ]);
      const forced = forcedTokens(tokenizer, vocabulary, { before: [], bytes });
      expect(text.startsWith(bytesOf(forced).toString())).toBe(true);
      const special =
        tokenizer.tokenId("<|im_end|>") ?? tokenizer.tokenId("<|end|>") ?? tokenizer.tokenId("</s>")!;
      const spelled = Buffer.from(`${tokenizer.decode([special], { skipSpecialTokens: false })} and more`);
      expect(forcedTokens(tokenizer, vocabulary, { before: [], bytes: spelled })).toEqual([]);
    });
  });
});
