// Contract: text of the prompt + text of the completion = decode(prompt ids + completion ids), whatever the decoder, and stop
// strings are found in that text. Only a character that the prompt has begun and the completion ends belongs to the completion.
import { describe, expect, test, vi } from "vitest";
import { resolveGeneration, type GenerateOptions } from "../../lib/llm/generateOptions.js";
import { ChoiceOutput } from "../../lib/llm/output.js";
import { Detokenizer } from "../../lib/text/detokenizer.js";
import { runNow } from "../../lib/eventLoop.js";
import { prepareStops } from "../../lib/text/stopFinder.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { textInside } from "../../lib/text/tokenText.js";
import { Random } from "../support/random.js";
import { byteLevelJson, llamaDecoder, sentencePieceJson, spellsSpecial } from "./tokenizerFiles.js";

const parse = (json: object): Tokenizer => Tokenizer.parse(JSON.stringify(json), "t.json");

const words = ["▁", "a", "b", "▁a", "▁▁", "ab", "▁ab", "\ufffd", "▁\ufffd", "한", "🦊", ""];
const merges = ["▁ a", "▁ ▁", "a b", "▁ ab", "▁ \ufffd"];
const steps = llamaDecoder.decoders;
const decodedBy = (decoder: unknown): Tokenizer => parse(sentencePieceJson(words, merges, { decoder }));
const sequence = (...decoders: object[]) => decodedBy({ type: "Sequence", decoders });
const wordPiece = parse({
  added_tokens: [{ id: 0, content: "[CLS]", special: true }],
  normalizer: null,
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: null,
  decoder: { type: "WordPiece", prefix: "##", cleanup: true },
  model: {
    type: "WordPiece",
    unk_token: "?",
    vocab: { "[CLS]": 0, "?": 1, a: 2, "##a": 3, "##b": 4, ".": 5, "'": 6 },
  },
});

const wordEnds = ["a", "a</w>", "b", "b</w>", ".</w>", "한"];
const suffixes = parse({
  ...sentencePieceJson(wordEnds, [], { normalizer: null, post_processor: null }),
  decoder: { type: "BPEDecoder", suffix: "</w>" },
});

const tokenizers: readonly (readonly [string, Tokenizer])[] = [
  ["ByteLevel", parse(byteLevelJson(["<|a|>", "<|b|>"]))],
  ["Llama 2", decodedBy(llamaDecoder)],
  ["Gemma", sequence(...steps.slice(0, 3))],
  [
    "two first spaces dropped",
    sequence(...steps.slice(0, 3), { type: "Strip", content: " ", start: 2, stop: 0 }),
  ],
  ["Metaspace", decodedBy({ type: "Metaspace", replacement: "▁", prepend_scheme: "first" })],
  [
    "Metaspace that prepends nothing",
    decodedBy({ type: "Metaspace", replacement: "▁", prepend_scheme: "never" }),
  ],
  ["WordPiece", wordPiece],
  ["ends of words marked", suffixes],
  ["no decoder", decodedBy(null)],
  [
    "WordPiece behind another",
    decodedBy({ type: "Sequence", decoders: [...steps.slice(0, 1), { type: "WordPiece", prefix: "##" }] }),
  ],
];

interface Continuation {
  readonly prompt: readonly number[];
  readonly ids: readonly number[];
}

/** Token streams that are hard: any tokens, few tokens, bytes of characters, spaces, special tokens. */
function randomIds(random: Random, { vocabSize }: Tokenizer, length: number): number[] {
  const kind = random.integer(0, 4);
  const low = vocabSize > 256 ? 3 : 0;
  const [few, hard] = [
    [random.integer(0, vocabSize), random.integer(0, vocabSize)],
    [0xf0, 0x9f, 0xa6, 0x8a, 0xef, 0xbf, 0xbd, 0xff, 0x20, 0x41].map((byte) => (byte + low) % vocabSize),
  ];
  return Array.from({ length }, () => {
    if (kind === 0) return random.integer(0, vocabSize + 2);
    if (kind === 1) return few[random.integer(0, 2)]!;
    return kind === 2
      ? hard[random.integer(0, hard.length)]!
      : vocabSize - 1 - random.integer(0, Math.min(vocabSize, 14));
  });
}

/** What the completion has to be, from whole texts only. */
function expectedText(
  tokenizer: Tokenizer,
  { prompt, ids }: Continuation,
  skipSpecialTokens: boolean,
): string {
  const [before, all] = [prompt, [...prompt, ...ids]].map((part) =>
    tokenizer.decode(part, { skipSpecialTokens }),
  );
  if (all!.startsWith(before!)) return all!.slice(before!.length);
  // The prompt ends inside a character.
  expect(before!.endsWith("\ufffd") && all!.startsWith(before!.slice(0, -1))).toBe(true);
  return all!.slice(before!.length - 1);
}

function complete(
  tokenizer: Tokenizer,
  { prompt, ids }: Continuation,
  options: GenerateOptions,
): { readonly text: string; readonly stopReason: string | number | null | undefined } {
  const context = {
    vocabSize: tokenizer.vocabSize,
    contextLength: 1000,
    eosTokenIds: [],
    hasTokenizer: true,
  };
  const generation = resolveGeneration(options, { ...context, sampling: {} });
  const stops = runNow(prepareStops(generation.stop, generation.skipSpecialTokens ? tokenizer : null));
  const output = new ChoiceOutput(0, prompt, generation, tokenizer, stops);
  let text = "";
  for (const id of ids) {
    const { chunk, stopped } = output.push(id, null);
    text += chunk.text;
    if (stopped) break;
  }
  const last = output.finish("length", { promptTokens: prompt.length, cachedTokens: 0 });
  return { text: text + last.text, stopReason: last.stopReason };
}

describe.each(tokenizers)("%s", (_, tokenizer) => {
  const random = new Random(7);
  const cases = Array.from({ length: 400 }, (): Continuation & { readonly skip: boolean } => ({
    prompt: randomIds(
      random,
      tokenizer,
      random.integer(0, 3) === 0 ? random.integer(0, 4) : random.integer(0, 40),
    ),
    ids: randomIds(random, tokenizer, random.integer(0, 30)),
    skip: random.integer(0, 2) === 0,
  }));

  test("prompt + completion is the decoded whole", () => {
    for (const { skip, ...continuation } of cases) {
      const text = complete(tokenizer, continuation, { skipSpecialTokens: skip }).text;
      expect({ ...continuation, text }).toEqual({
        ...continuation,
        text: expectedText(tokenizer, continuation, skip),
      });
    }
  });

  test("a stop string is found where it first ends in that text", () => {
    let numStops = 0;
    for (const { skip, ...continuation } of cases) {
      const text = expectedText(tokenizer, continuation, skip);
      if (text === "" || spellsSpecial(tokenizer, text)) continue;
      const start = random.integer(0, text.length);
      const stop = text.slice(start, start + random.integer(1, 4));
      const outcome = complete(tokenizer, continuation, { skipSpecialTokens: skip, stop });
      expect({ ...continuation, stop, ...outcome }).toEqual({
        ...{ ...continuation, stop, stopReason: stop },
        text: text.slice(0, text.indexOf(stop)),
      });
      numStops++;
    }
    expect(numStops).toBeGreaterThan(100);
  });

  test("a long prompt costs no more than a short one where text comes in windows", () => {
    const lengths = [10, 10_000].map((length) => {
      const decode = vi.spyOn(tokenizer, "decode");
      new Detokenizer(tokenizer, { context: Array.from({ length }, (_, i) => (i % 200) + 3) });
      const numTokens = decode.mock.calls.map(([ids]) => [...ids].length);
      decode.mockRestore();
      return Math.max(...numTokens);
    });
    if (tokenizer.decodesInWindows) expect(lengths[1]).toBe(lengths[0]);
  });
});

test("a stop string with a special token in it, where text needs all tokens", () => {
  const [cls, a, b] = [0, 2, 4];
  const stopAt = (stop: string) => complete(wordPiece, { prompt: [a, a], ids: [a, b, cls, a, b] }, { stop });
  expect(complete(wordPiece, { prompt: [a, a], ids: [a, b, cls, a, b] }, {}).text).toBe(" ab ab");
  expect(stopAt("[CLS]")).toEqual({ text: " ab", stopReason: "[CLS]" });
  expect(stopAt("b[CLS] a")).toEqual({ text: " a", stopReason: "b[CLS] a" });
});

describe("at the border of prompt and completion", () => {
  const [byteLevel, llama] = [tokenizers[0]![1], tokenizers[1]![1]];
  const fox = [...Buffer.from("🦊")];
  const bytes = (text: string): number[] => [...Buffer.from(text)];
  const replacement = bytes("\ufffd");

  test.each<[string, number[], number[], string]>([
    ["half a character, completed", [...bytes("a"), ...fox.slice(0, 2)], fox.slice(2), "🦊"],
    ["three quarters of one", [...bytes("a"), ...fox.slice(0, 3)], [...fox.slice(3), ...bytes("b")], "🦊b"],
    ["half a character, never completed", [...bytes("a"), ...fox.slice(0, 2)], bytes("b"), "b"],
    ["half a character, half of the rest", fox.slice(0, 2), fox.slice(2, 3), ""],
    ["half a character and no token", fox.slice(0, 2), [], ""],
    ["half a character and a broken one", fox.slice(0, 2), [0xff, ...bytes("b")], "\ufffdb"],
    ["a real U+FFFD", [...bytes("a"), ...replacement], bytes("b"), "b"],
    ["a real U+FFFD, then another", [...bytes("a"), ...replacement], replacement, "\ufffd"],
    ["half of U+FFFD", replacement.slice(0, 2), [...replacement.slice(2), ...bytes("b")], "b"],
    ["only special tokens", [256, 257], bytes(" b"), " b"],
    ["nothing", [], bytes(" b"), " b"],
  ])("%s", (_, prompt, ids, text) => {
    expect(complete(byteLevel, { prompt, ids }, {}).text).toBe(text);
    const shift = (part: readonly number[]) => part.map((id) => (id < 256 ? id + 3 : id - 255));
    // Llama's decoder drops one space at the very beginning, and there is only one beginning.
    const first = prompt.every((id) => id >= 256) ? text.replace(/^ /, "") : text;
    expect(complete(llama, { prompt: shift(prompt), ids: shift(ids) }, {}).text).toBe(first);
  });
});

describe("the text of a token inside a text", () => {
  test.each(tokenizers)("%s: what it adds to a text that has begun", (_, tokenizer) => {
    const anchor = tokenizer.vocabSize > 256 ? 3 + 0x41 : 2;
    for (let id = 0; id < tokenizer.vocabSize; id++) {
      const whole = tokenizer.decode([anchor, id], { skipSpecialTokens: false });
      expect(tokenizer.decode([anchor]) + textInside(tokenizer, id)).toBe(whole);
    }
  });

  test("tokens that differ by a space have different texts", () => {
    for (const [, tokenizer] of tokenizers.slice(1, 6)) {
      const texts = ["ab", "▁ab", "▁", "▁▁", "</s>"].map((token) =>
        textInside(tokenizer, tokenizer.tokenId(token)!),
      );
      expect(texts).toEqual(["ab", " ab", " ", "  ", "</s>"]);
    }
    expect([2, 3, 0].map((id) => textInside(wordPiece, id))).toEqual([" a", "a", " [CLS]"]);
  });

  test("without a token to stand before it: the token alone", () => {
    const bytesOnly = byteLevelJson([]);
    const vocab = Object.fromEntries(Object.entries(bytesOnly.model.vocab).filter(([, id]) => id >= 128));
    const tokenizer = parse({
      ...bytesOnly,
      model: { ...bytesOnly.model, unk_token: "Ā", vocab: { ...vocab, Ā: 0 } },
    });
    expect(textInside(tokenizer, 200)).toBe("\ufffd");
  });
});
